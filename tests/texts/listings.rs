//! What lists and shows: `runs`, `messages`, `tail`, `checklist`.

use crate::program::assert_snapshot;
use crate::scenes;

/// The transcripts of several commands.
fn all(system: &mut crate::recorded::Recorded, commands: &[&[&str]]) -> String {
    system.at("12:00");
    commands.iter().map(|arguments| system.run(arguments)).collect::<Vec<_>>().join("\n")
}

#[test]
fn runs() {
    let mut system = scenes::failed_runs();
    let text = all(
        &mut system,
        &[
            &["runs"],
            &["runs", "--open"],
            &["runs", "--failed"],
            &["runs", "--worker", "make_plots", "-n", "2"],
            &["runs", "--since", "09:30"],
            &["runs", "--worker", "mak_plots"],
            &["runs", "--open", "--json"],
            &["runs", "--failed", "-n", "1", "--json"],
            &["runs", "--worker", "mak_plots", "--json"],
        ],
    );
    assert_snapshot("runs_failed", &text);
    let text = all(&mut scenes::pending_launches(), &[&["runs", "--open"], &["runs", "--open", "--json"]]);
    assert_snapshot("runs_pending", &text);
    let text = all(&mut scenes::running(), &[&["runs", "--open"]]);
    assert_snapshot("runs_running", &text);
    assert_snapshot("runs_operated", &all(&mut scenes::operated(), &[&["runs"]]));
}

#[test]
fn messages() {
    let text = all(
        &mut scenes::bad_messages(),
        &[
            &["messages"],
            &["messages", "--parked"],
            &["messages", "--worker", "collect_rivers", "--type", "success", "-n", "1"],
            &["messages", "--worker", "nobody"],
            &["messages", "--parked", "--json"],
            &["messages", "-n", "3", "--json"],
        ],
    );
    assert_snapshot("messages_bad", &text);
    assert_snapshot("messages_failed", &all(&mut scenes::failed_runs(), &[&["messages", "-n", "8"]]));
    assert_snapshot("messages_operated", &all(&mut scenes::operated(), &[&["messages", "-n", "8"]]));
}

#[test]
fn tail() {
    let mut system = scenes::failed_runs();
    let run = system.run_of("download_weather").0.to_string();
    let pending = system.pending_run_of("make_plots").0.to_string();
    let text = all(&mut system, &[&["tail", &run], &["tail", &pending], &["tail", "1000"], &["tail", "1"]]);
    assert_snapshot("tail", &text);
}

#[test]
fn checklist() {
    let text = all(
        &mut scenes::fine(),
        &[
            &["checklist", "show"],
            &["checklist", "show", "--json"],
            &["checklist", "get", "rivers"],
            &["checklist", "get", "rivers", "Fraser"],
            &["checklist", "get", "rivers", "Frazer"],
            &["checklist", "get", "river"],
            &["checklist", "get", "rivers", "Fraser", "deep"],
            &["checklist", "at", "6"],
            &["checklist", "at", "1000"],
        ],
    );
    assert_snapshot("checklist", &text);
}

#[test]
fn cycles() {
    let text = all(
        &mut scenes::cycles(),
        &[
            &["cycles"],
            &["cycles", "--state", "failed"],
            &["cycles", "--state", "waiting"],
            &["cycles", "--state", "stuck"],
            &["cycle", "2019-10-01"],
            &["cycle", "2019-09-30"],
            &["cycle", "hindcast-2"],
            &["cycle", "hindcast-9"],
            &["cycle", "hindcast-1", "--json"],
            &["why", "--cycle", "2019-10-01"],
            &["why", "--cycle", "hindcast-1"],
            &["why", "--cycle", "hindcast-3"],
            &["runs", "--cycle", "2019-10-01"],
            &["messages", "--cycle", "2019-10-01", "--json"],
        ],
    );
    assert_snapshot("cycles", &text);
}
