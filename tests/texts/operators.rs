//! What the manager answers to operators' commands, done and refused.

use crate::program::assert_snapshot;
use crate::scenes;

/// The transcripts of commands that are run one after the other; each of them finds what those before it did.
#[track_caller]
fn assert_answers(name: &str, mut system: crate::recorded::Recorded, commands: &[&[&str]]) {
    system.at("12:00").with_daemons();
    let transcripts: Vec<_> = commands.iter().map(|arguments| system.run(arguments)).collect();
    assert_snapshot(&format!("answers_{name}"), &transcripts.join("\n"));
}

#[test]
fn launch_and_rerun() {
    let system = scenes::failed_runs();
    let failed = system.run_of("run_nemo").0.to_string();
    assert_answers(
        "launch",
        system,
        &[
            &["launch", "nowcast.workers.make_plots", "forecast", "2019-10-01"],
            &["launch", "--delay", "3h", "nowcast.workers.make_plots"],
            &["launch", "--at", "16:30", "--host", "nibi", "nowcast.workers.run_nemo", "forecast"],
            &["launch", "--json", "nowcast.workers.make_forcing"],
            &["launch", "mrge"],
            &["launch", "--host", "nobi", "nowcast.workers.run_nemo"],
            &["launch", "--host", "nobi", "--json", "nowcast.workers.run_nemo"],
            &["launch", "make forcing"],
            &["launch", ""],
            &["rerun", &failed],
            &["rerun", &failed, "forecast2", "--debug"],
            &["rerun", "1000"],
        ],
    );
}

#[test]
fn acknowledge() {
    let system = scenes::failed_runs();
    let failed = system.run_of("run_nemo").0.to_string();
    let succeeded = system.run_of("make_forcing").0.to_string();
    let commands: &[&[&str]] = &[
        &["ack", &failed, "--reason", "maintenance of nibi"],
        &["ack", &failed, "--json"],
        &["ack", &succeeded],
        &["ack", "1000"],
        &["ack", "mrge"],
        &["ack"],
        &["ack", "--all", "--reason", "the cluster is down"],
        &["ack", "--all"],
        &["why", &failed],
        &["status"],
    ];
    assert_answers("ack", system, commands);
    let system = scenes::bad_messages();
    let parked = system.parked().0.to_string();
    assert_answers("ack_parked", system, &[&["ack", &parked]]);
}

#[test]
fn hold_and_release() {
    let system = scenes::pending_launches();
    let held = system.pending_run_of("run_nemo").0.to_string();
    let hold = system.hold().0.to_string();
    assert_answers(
        "hold",
        system,
        &[
            &["hold", "--all", "--reason", "power cut"],
            &["hold", "--worker", "make_plots", "--until", "16:30"],
            &["hold", "--worker", "mak_plots"],
            &["hold", "--host", "nibi", "--json"],
            &["hold", "--host", "nobi"],
            &["hold", "--all", "--until", "2019-10-01"],
            &["hold"],
            &["hold", "--all", "--worker", "make_plots"],
            &["release", &hold],
            &["release", &hold],
            &["release", &format!("#{held}")],
            &["release", "1000"],
            &["release", "make_plots"],
        ],
    );
}

#[test]
fn release_and_discard_pending_and_parked_launches() {
    let system = scenes::pending_launches();
    let pending = system.pending_run_of("make_ssh_files").0.to_string();
    let running = system.run_of("make_plots").0.to_string();
    let hold = system.hold().0.to_string();
    let commands: &[&[&str]] = &[
        &["discard", &pending],
        &["discard", &pending],
        &["discard", &running],
        &["discard", &hold],
        &["discard", "1000"],
    ];
    assert_answers("discard", system, commands);

    let system = scenes::parked_launches();
    let parked = system.parked().0.to_string();
    assert_answers("release_parked", system, &[&["release", &parked], &["release", &parked]]);
    assert_answers(
        "discard_parked",
        scenes::parked_launches(),
        &[&["discard", &parked], &["discard", &parked]],
    );

    let system = scenes::open_joins();
    let join = system.open_join().0.to_string();
    assert_answers("release_join", system, &[&["release", &join]]);
    assert_answers("discard_join", scenes::open_joins(), &[&["discard", &join]]);
}

#[test]
fn kill() {
    let system = scenes::pending_launches();
    let running = system.run_of("make_plots").0.to_string();
    let pending = system.pending_run_of("run_nemo").0.to_string();
    let commands: &[&[&str]] = &[
        &["kill", &running],
        &["kill", &running, "--json"],
        &["kill", &pending],
        &["kill", "1000"],
        &["kill", "1000", "--json"],
    ];
    assert_answers("kill", system, commands);
}

#[test]
fn send_and_retry() {
    let system = scenes::bad_messages();
    let parked = system.parked().0.to_string();
    assert_answers(
        "retry",
        system,
        &[
            &["retry", &parked],
            &["retry", &parked, "--checklist", "then"],
            &["retry", "--all"],
            &["checklist", "set", "rivers", "Fraser", "812.5"],
            &["retry", &parked],
            &["retry", &parked],
            &["retry", "--all"],
            &["retry"],
            &["send", "make_forcing", "success"],
            &["send", "make_forcing", "sucess"],
            &["send", "mak_forcing", "success"],
            &["send", "collect_rivers", "success", "{Skagit: 1"],
            &["send", "--dry-run", "run_nemo", "success"],
        ],
    );
    let system = scenes::bad_messages();
    assert_answers("discard_message", system, &[&["discard", &parked], &["release", &parked]]);
}

#[test]
fn checklist() {
    assert_answers(
        "checklist",
        scenes::running(),
        &[
            &["checklist", "set", "rivers", "Nooksack", "75"],
            &["checklist", "set", "rivers", "[1, 2"],
            &["checklist", "set", "--json", "new key", "{a: 1}"],
            &["checklist", "clear"],
            &["checklist", "clear", "--force"],
            &["checklist", "show"],
        ],
    );
}

#[test]
fn cycles() {
    let system = scenes::cycles();
    let succeeded = system.run_of("make_ssh_files").0.to_string();
    assert_answers(
        "cycles",
        system,
        &[
            &["kill", "--cycle", "2019-10-01"],
            &["kill", "--cycle", "hindcast-9"],
            &["hold", "--cycle", "2019-10-01", "--until", "3h"],
            &["hold", "--cycle", "2019-10-01", "--all"],
            &["cycle", "cancel", "2019-10-01", "--reason", "wrong input"],
            &["cycle", "cancel", "2019-10-01"],
            &["cycle", "cancel", "hindcast-9"],
            &["launch", "--cycle", "2019-10-01", "make_plots"],
            &["rerun", &succeeded],
            &["cycle", "resume", "hindcast-2"],
            &["cycle", "resume", "2019-10-01", "--json"],
            &["cycle", "skip", "hindcast-1", "--reason", "too late"],
            &["cycle", "skip", "2019-09-30"],
            &[
                "backfill",
                "make_forcing",
                "--from",
                "2019-12-30",
                "--to",
                "2020-01-07",
                "--dry-run",
                "--",
                "--day={date}",
                "{cycle}",
            ],
            &["backfill", "make_forcing", "--from", "2019-12-30", "--to", "2020-01-07"],
            &["backfill", "make_forcing", "--from", "2019-12-30", "--to", "2020-01-07", "--yes"],
            &["backfill", "make_forcing", "--from", "2019-12-30", "--to", "2020-01-07", "--yes"],
            &["backfill", "make_forcing", "--from", "2020-01-07", "--to", "2019-12-30", "--yes"],
            &["cycles", "-n", "3"],
        ],
    );
}
