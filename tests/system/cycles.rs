//! Cycles: workers know theirs, and operators say it.

use std::fs;

use crate::plain_worker::plain_worker;
use crate::support::system::{Builder, System, system};

/// Launches `show` in the cycle of the payload, which writes what it knows.
const RULES: &str = "
function after_keyless(msg)
  return { worker('show'):with{ cycle = msg.payload } }
end
function after_show(msg)
  log.info('show: ' .. msg.type .. ' of ' .. tostring(msg.cycle))
  return {}
end
";

fn builder() -> Builder {
    system()
        .worker("show: {success: it is shown, failure: it is not, crash: it crashed}")
        .section("workers: {show: {exec: [sh, -c, 'echo \"cycle $NOWCAST_CYCLE\" >> shown']}}")
        .rules(RULES)
}

fn start() -> System {
    builder().start()
}

fn shown(system: &System, count: usize) -> Vec<String> {
    let lines = || fs::read_to_string(system.path("shown")).unwrap_or_default();
    system.wait_for(&format!("{count} lines"), || (lines().lines().count() >= count).then_some(()));
    lines().lines().map(str::to_owned).collect()
}

#[test]
fn a_worker_knows_its_cycle_and_the_rule_of_its_message_too() {
    let system = start();
    assert_eq!(system.send("keyless", "success", "'2026-03-14'"), "ack");
    system.wait_for_log("manager", "show: success of 2026-03-14");
    assert_eq!(system.send("keyless", "success", "false"), "ack");
    system.wait_for_log("manager", "show: success of nil");
    assert_eq!(shown(&system, 2), ["cycle 2026-03-14", "cycle "]);
    let table = system.operate(&["runs"]);
    assert!(table.contains("CYCLE") && table.contains("2026-03-14"), "{table}");
    let only = system.operate(&["runs", "--cycle", "2026-03-14", "--json"]);
    let only: serde_json::Value = serde_json::from_str(&only).expect("JSON");
    assert_eq!(only.as_array().expect("a list").len(), 1, "{only}");
    let number = only.as_array().expect("a list")[0]["number"].to_string();
    let why = system.operate(&["why", &number]);
    assert!(why.contains("\n  cycle 2026-03-14\n"), "{why}");
    let messages = system.operate(&["messages", "--cycle", "2026-03-14"]);
    assert!(messages.contains("show") && !messages.contains("keyless"), "{messages}");
}

#[test]
fn an_operator_must_say_the_cycle_while_one_is_open() {
    let system = start();
    // No cycle is open.
    system.operate(&["launch", "show"]);
    system.wait_for_log("manager", "show: success of nil");
    system.operate(&["hold", "--all"]);
    system.operate(&["launch", "--cycle", "2026-03-14", "show"]);
    for command in [&["launch", "show"][..], &["send", "keyless", "success", "'2026-03-15'"]] {
        let (status, text) = system.operation(command);
        assert_eq!(status, Some(2), "{text}");
        assert!(
            text.contains("name the cycle with --cycle ID, or --cycle none; open cycles: 2026-03-14"),
            "{text}"
        );
    }
    system.operate(&["send", "--cycle", "none", "keyless", "success", "'2026-03-15'"]);
    let (status, text) = system.operation(&["launch", "--cycle", "a b", "show"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("invalid cycle \"a b\": use 1 to 64 letters"), "{text}");
    let pending = system.operate(&["runs", "--open"]);
    assert!(pending.contains("2026-03-14") && pending.contains("2026-03-15"), "{pending}");
}

#[test]
fn a_rerun_has_the_cycle_of_the_run_and_a_restart_keeps_both() {
    let mut system = start();
    system.operate(&["launch", "--cycle", "2026-03-14", "show"]);
    system.wait_for_log("manager", "show: success of 2026-03-14");
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    let runs: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    let run = &runs.as_array().expect("a list")[0];
    assert_eq!(run["cycle"], "2026-03-14");
    system.operate(&["rerun", &run["number"].to_string()]);
    assert_eq!(shown(&system, 2), ["cycle 2026-03-14", "cycle 2026-03-14"]);
}

#[test]
fn a_manager_launches_in_the_cycle_of_its_command_line_and_does_not_ask_for_one() {
    let mut system = builder().prepare();
    system.start_broker();
    system.start_manager(&["--launch", "show", "--launch", "show", "--cycle", "2026-03-14"]);
    assert_eq!(shown(&system, 2), ["cycle 2026-03-14", "cycle 2026-03-14"]);
    system.operate(&["hold", "--all"]);
    system.operate(&["launch", "--cycle", "2026-03-14", "show"]);
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    system.start_manager(&["--launch", "show"]);
    let pending = system.wait_for("both pending runs", || {
        let pending = system.operate(&["runs", "--open", "--json"]);
        let pending: Vec<serde_json::Value> = serde_json::from_str(&pending).expect("JSON");
        (pending.len() == 2).then_some(pending)
    });
    let cycles: Vec<_> = pending.iter().map(|run| &run["cycle"]).collect();
    assert_eq!(cycles, [&serde_json::Value::Null, &"2026-03-14".into()], "{pending:#?}");
    let (status, text) = system.operation(&["up", "--cycle", "2026-03-14"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("--launch"), "{text}");
}

#[test]
fn messages_of_plain_workers_get_the_cycles_of_their_runs_in_any_order() {
    let mut system = system()
        .worker("plain: {success: it is done, failure: it is not, crash: it crashed}")
        .rules(
            "function after_keyless(msg)
               return { worker('plain', '2026-03-14'):with{ cycle = 'a' }, worker('plain', '2026-03-15'):with{ cycle = 'b' } }
             end
             function after_plain(msg)
               log.info('plain of ' .. tostring(msg.cycle) .. ': ' .. msg.payload['run date'])
               return {}
             end",
        )
        .prepare();
    system.more = format!("{}\nworkers: {{{}}}\n", system.more, plain_worker(&system, "plain"));
    system.write_config();
    system.start_broker();
    system.start_manager(&[]);
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    fs::write(system.path("go-2026-03-15"), "").expect("written");
    system.wait_for_log("manager", "plain of b: 2026-03-15");
    fs::write(system.path("go-2026-03-14"), "").expect("written");
    system.wait_for_log("manager", "plain of a: 2026-03-14");
}

/// `slow` runs until its file is there; `dated` writes its cycle and arguments.
const TWO_WORKERS: &str = "workers:
  slow: {exec: [sh, -c, 'until [ -e go ]; do sleep 0.05; done']}
  dated: {exec: [sh, -c, 'echo \"$NOWCAST_CYCLE $*\" >> shown', dated]}
";

fn two_workers() -> Builder {
    system()
        .worker("slow: {success: it is done, failure: it is not, crash: it crashed}")
        .worker("dated: {success: it is done, failure: it is not, crash: it crashed}")
        .section(TWO_WORKERS)
        .rules(
            "function after_slow(msg) return { worker('dated', 'after-slow') } end
             function after_dated(msg) log.info('dated of ' .. tostring(msg.cycle)) return {} end",
        )
}

fn refusal(system: &System, command: &[&str], status: i32, reason: &str) {
    let (found, text) = system.operation(command);
    assert_eq!(found, Some(status), "{command:?}: {text}");
    assert!(text.contains(reason), "{command:?}: {text}");
}

#[test]
fn a_cancelled_cycle_is_stopped_and_parks_what_its_messages_launch_until_it_is_resumed() {
    let system = two_workers().start();
    system.operate(&["launch", "--cycle", "a", "slow", "1"]);
    system.operate(&["launch", "--cycle", "a", "slow", "2"]);
    system.operate(&["launch", "--cycle", "b", "slow"]);
    system.operate(&["hold", "--cycle", "a", "--until", "3h", "--reason", "the disk is full"]);
    system.operate(&["launch", "--cycle", "a", "dated", "held"]);
    system.operate(&["launch", "--cycle", "b", "dated", "free"]);
    assert_eq!(shown(&system, 1), ["b free"]);
    system.wait_for("the end of the free run", || {
        system.operation(&["runs", "--open", "--worker", "dated"]).1.contains("held").then_some(())?;
        (!system.operation(&["runs", "--open", "--worker", "dated"]).1.contains("free")).then_some(())
    });
    let status = system.operation(&["status"]).1;
    assert!(status.contains("cycle a") && status.contains("the disk is full"), "{status}");
    let answer = system.operate(&["kill", "--cycle", "b"]);
    assert!(answer.starts_with("cycle b: 1 run is stopping: #"), "{answer}");
    // Its crash is decided as always: cycle b goes on.
    assert_eq!(shown(&system, 2)[1], "b after-slow");
    let answer = system.operate(&["cycle", "cancel", "a", "--reason", "the input is wrong"]);
    let cancelled =
        "cycle a is cancelled: 2 runs are stopping, 1 pending launch is discarded; later launches";
    assert!(answer.starts_with(cancelled), "{answer}");
    system.wait_for("both launches to be parked", || {
        let status = system.operation(&["status"]).1;
        (status.matches("LAUNCHES").count() == 2).then_some(())
    });
    refusal(&system, &["launch", "--cycle", "a", "dated"], 1, "nowcast cycle resume a");
    // Everything that shows them says what to do.
    let status: serde_json::Value =
        serde_json::from_str(&system.operation(&["status", "--json"]).1).expect("JSON");
    let attention = status["attention"].as_array().expect("a list");
    let parked = attention.iter().find(|item| item["kind"] == "launches").expect("parked launches");
    let number = parked["number"].to_string();
    for shown in [parked.to_string(), system.operate(&["why", "dated"]), system.operate(&["why", &number])] {
        assert!(shown.contains("nowcast cycle resume a") && !shown.contains("nowcast release"), "{shown}");
        assert!(shown.contains(&format!("nowcast discard {number}")), "{shown}");
    }
    refusal(&system, &["cycle", "cancel", "a"], 1, "cycle a is cancelled already");
    refusal(&system, &["cycle", "skip", "a"], 1, "cycle a is cancelled already");
    let holds = system.operation(&["status", "--json"]).1;
    let holds: serde_json::Value = serde_json::from_str(&holds).expect("JSON");
    system.operate(&["release", &holds["holds"][0]["number"].to_string()]);
    let answer: serde_json::Value =
        serde_json::from_str(&system.operate(&["cycle", "resume", "a", "--json"])).expect("JSON");
    assert_eq!(answer["numbers"].as_array().map(Vec::len), Some(2), "{answer}");
    assert_eq!(shown(&system, 4)[2..], ["a after-slow", "a after-slow"]);
    refusal(&system, &["cycle", "resume", "a"], 1, "cycle a is neither cancelled nor skipped");
    system.operate(&["cycle", "skip", "b", "--reason", "it is too late"]);
    refusal(&system, &["cycle", "skip", "b"], 1, "cycle b is skipped already");
    refusal(&system, &["cycle", "cancel", "c"], 1, "there is no cycle c");
    refusal(&system, &["kill", "--cycle", "c"], 1, "no run of cycle c is running");
}

#[test]
fn a_backfill_launches_once_for_each_date() {
    let system = two_workers().start();
    let backfill = |options: &[&'static str]| {
        let begin = ["backfill", "dated", "--from", "2026-01-30"];
        [&begin[..], options, &["--", "--day={date}", "{cycle}"]].concat()
    };
    let planned: serde_json::Value = serde_json::from_str(&system.operate(&backfill(&[
        "--to",
        "2026-02-01",
        "--cycle",
        "hindcast-%j",
        "--dry-run",
        "--json",
    ])))
    .expect("JSON");
    let planned: Vec<_> = planned.as_array().expect("a list").iter().map(|launch| &launch["cycle"]).collect();
    assert_eq!(planned, ["hindcast-030", "hindcast-031", "hindcast-032"]);
    refusal(&system, &backfill(&["--to", "2026-02-01"]), 2, "add --yes");
    refusal(&system, &backfill(&["--to", "2026-01-29", "--yes"]), 2, "is later than --to");
    refusal(&system, &backfill(&["--to", "2029-01-01", "--yes"]), 2, "more than 1000 dates");
    let same = "2026-01-30 and 2026-01-31 have the same cycle 2026-01";
    refusal(&system, &backfill(&["--to", "2026-01-31", "--cycle", "%Y-%m", "--yes"]), 2, same);
    refusal(&system, &backfill(&["--to", "2026-01-31", "--cycle", "%Y/%d", "--yes"]), 2, "invalid cycle");
    refusal(
        &system,
        &["backfill", "datd", "--from", "2026-01-01", "--to", "2026-01-01", "--yes"],
        1,
        "dated",
    );
    assert_eq!(system.operate(&["runs", "--worker", "dated"]), "no matching runs\n");
    let answer = system.operate(&backfill(&["--to", "2026-02-01", "--yes"]));
    assert!(answer.starts_with("3 cycles begin: 2026-01-30 … 2026-02-01"), "{answer}");
    let mut lines = shown(&system, 3);
    lines.sort();
    assert_eq!(
        lines,
        [
            "2026-01-30 --day=2026-01-30 2026-01-30",
            "2026-01-31 --day=2026-01-31 2026-01-31",
            "2026-02-01 --day=2026-02-01 2026-02-01"
        ]
    );
    let exists =
        "these cycles exist already: 2026-01-30, 2026-01-31, 2026-02-01; --again launches in them, too";
    refusal(&system, &backfill(&["--to", "2026-02-01", "--yes"]), 1, exists);
    system.operate(&backfill(&["--to", "2026-01-30", "--yes", "--again"]));
    assert_eq!(shown(&system, 4)[3], "2026-01-30 --day=2026-01-30 2026-01-30");
}

#[test]
fn a_cycle_has_its_line_in_status_however_many_there_are() {
    let system = two_workers().start();
    system.operate(&["hold", "--worker", "dated"]);
    system.operate(&[
        "backfill",
        "dated",
        "--from",
        "2026-01-01",
        "--to",
        "2026-01-07",
        "--yes",
        "--",
        "{date}",
    ]);
    let page = system.operate(&["status"]);
    assert!(!page.contains("CYCLE  2026-01-01") && page.contains("and 2 more"), "five are shown: {page}");
    let page = system.operate(&["status", "--cycle", "2026-01-01"]);
    assert!(page.contains("CYCLE  2026-01-01"), "{page}");
}

#[test]
fn a_backfill_has_the_labels_of_the_schedule() {
    let schedule = "scheduled workers:
  - dated: {every: day, at: '18:00', cycle: '%Y-%m-%dT%H', shift: 1d}
";
    let system = two_workers().section(schedule).start();
    let dates = ["backfill", "dated", "--from", "2026-01-30", "--to", "2026-01-31"];
    let planned = system.operate(&[&dates[..], &["--dry-run"]].concat());
    assert!(planned.contains("2026-01-31T18  2026-01-30") && planned.contains("2026-02-01T18"), "{planned}");
}

/// A hindcast: each cycle has a model run and a picture of it, and is done with the picture.
fn hindcast() -> Builder {
    system()
        .worker("model: {success: it is done, failure: it is not, crash: it crashed}")
        .worker("picture: {success: it is done, failure: it is not, crash: it crashed}")
        .section(
            "workers:
  model: {max cycles: 3, exec: [sh, -c, 'echo \"$NOWCAST_CYCLE\" >> models; until [ -e go ]; do sleep 0.05; done']}
  picture: {exec: [sh, -c, 'echo \"$NOWCAST_CYCLE\" >> pictures']}
cycles: {done: [{worker: picture}]}
",
        )
        .rules(
            "function after_model(msg) if msg.type == 'success' then return { worker('picture') } end return {} end
             function after_picture(msg) return {} end",
        )
}

fn cycles(system: &System, options: &[&str]) -> Vec<serde_json::Value> {
    let text = system.operate(&[&["cycles", "--json", "-n", "100"], options].concat());
    serde_json::from_str(&text).expect("JSON")
}

fn lines(system: &System, file: &str) -> usize {
    fs::read_to_string(system.path(file)).unwrap_or_default().lines().count()
}

/// Kill the manager and start it again.
fn restart_after_kill(system: &mut System) {
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
}

#[test]
fn a_hindcast_has_three_cycles_at_once_until_all_are_done() {
    let mut system = hindcast().start();
    let answer =
        system.operate(&["backfill", "model", "--from", "2026-01-01", "--to", "2026-01-30", "--yes"]);
    assert!(answer.starts_with("30 cycles begin: 2026-01-01 … 2026-01-30; "), "{answer}");
    // No model may end: three cycles have all slots, however often the manager starts.
    system.wait_for("three models", || (lines(&system, "models") == 3).then_some(()));
    restart_after_kill(&mut system);
    system.wait_for("a reader to find three cycles running", || {
        (cycles(&system, &["--state", "running"]).len() == 3).then_some(())
    });
    assert_eq!(lines(&system, "models"), 3);
    let waiting = cycles(&system, &["--state", "waiting"]);
    assert_eq!(waiting.len(), 27);
    // Their runs have higher numbers than their only event.
    assert!(waiting.iter().all(|cycle| cycle["runs"]["pending"] == 1), "{waiting:#?}");
    let why = system.operate(&["why", "--cycle", "2026-01-30"]);
    let blocked = "blocked by `max cycles: 3` of model (cycles 2026-01-01, 2026-01-02, 2026-01-03)";
    assert!(why.contains("cycle 2026-01-30: waiting") && why.contains(blocked), "{why}");
    assert!(why.contains("picture (success): the cycle is not done without it"), "{why}");
    let status = system.operation(&["status"]).1;
    assert!(status.contains("CYCLE") && status.contains("more: nowcast cycles"), "{status}");
    fs::write(system.path("go"), "").expect("written");
    system.wait_for("ten pictures", || (lines(&system, "pictures") >= 10).then_some(()));
    restart_after_kill(&mut system);
    system.wait_for("all cycles to be done", || {
        (cycles(&system, &["--state", "done"]).len() == 30).then_some(())
    });
    assert_eq!((lines(&system, "models"), lines(&system, "pictures")), (30, 30));
    // The journal has it all: at no moment were more than three cycles begun and not done.
    assert!(most_unmarked(&system) <= 3);
    let page = system.operate(&["cycle", "2026-01-01"]);
    assert!(page.starts_with("cycle 2026-01-01: done; begun "), "{page}");
    let model = page.lines().find(|line| line.contains("model")).expect("the model");
    let picture = page.lines().find(|line| line.contains("picture")).expect("the picture");
    let indent = |line: &str| line.len() - line.trim_start().len();
    assert!(indent(picture) > indent(model), "{page}");
}

/// Return the largest number of cycles between the launch of their model and the message of their picture.
fn most_unmarked(system: &System) -> usize {
    let read = |arguments: &[&str]| -> Vec<serde_json::Value> {
        serde_json::from_str(&system.operate(arguments)).expect("JSON")
    };
    let runs = read(&["runs", "--worker", "model", "-n", "100", "--json"]);
    let pictures = read(&["messages", "--worker", "picture", "-n", "100", "--json"]);
    let time = |value: &serde_json::Value| -> jiff::Timestamp {
        value.as_str().expect("a time").parse().expect("a time")
    };
    let mut changes: Vec<(jiff::Timestamp, isize)> =
        runs.iter().map(|run| (time(&run["started"]), 1)).collect();
    changes.extend(pictures.iter().map(|message| (time(&message["time"]), -1)));
    changes.sort_unstable();
    let mut unmarked: isize = 0;
    let mut most = 0;
    for (_, change) in changes {
        unmarked += change;
        most = most.max(unmarked);
    }
    usize::try_from(most).expect("a count")
}

#[test]
fn a_cycle_shows_its_runs_and_joins_and_what_is_still_to_come() {
    let system = two_workers()
        .section("cycles: {done: [{worker: dated}]}")
        .rules(
            "\nfunction after_keyless(msg)
               return { worker('dated'):with{ cycle = msg.payload } },
                 Join{ name = 'pair', cycle = msg.payload, wait_for = { slow = 'success', dated = 'success' }, launch = { worker('show', 'both') } }
             end
             function after_slow(msg) return {} end
             function after_show(msg) return {} end",
        )
        .worker("show: {success: it is done, failure: it is not, crash: it crashed}")
        .start();
    refusal(&system, &["cycle", "a"], 1, "there is no cycle a; \"nowcast cycles\" lists cycles");
    assert_eq!(system.operate(&["cycles"]), "no matching cycles\n");
    assert_eq!(system.send("keyless", "success", "a"), "ack");
    system.wait_for_log("manager", "dated of a");
    let page = system.wait_for("the exit of dated", || {
        let page = system.operate(&["cycle", "a", "--json"]);
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        (page["state"] == "waiting").then_some(page)
    });
    let to_come: Vec<_> =
        page["to_come"].as_array().expect("a list").iter().map(|one| &one["worker"]).collect();
    assert_eq!(to_come, ["slow"], "{page:#}");
    let cycle = system.operate(&["cycle", "show", "a"]);
    assert!(cycle.contains("join pair") && cycle.contains("TO COME\n  slow (success): join #"), "{cycle}");
    let dated =
        page["tree"]["nodes"].as_array().expect("nodes").iter().find(|node| node["run"]["worker"] == "dated");
    let number = dated.expect("dated")["run"]["number"].to_string();
    system.operate(&["hold", "--worker", "show"]);
    system.operate(&["send", "--cycle", "a", "slow", "success"]);
    let states = cycles(&system, &[]);
    assert_eq!(states[0]["state"], "held", "{states:#?}");
    let answer = system.operate(&["rerun", &number]);
    assert!(
        answer.contains(
            "pair of cycle a is complete and will not launch again (nowcast rerun --cycle a --from dated rewinds the cycle)"
        ),
        "{answer}"
    );
    let only = system.operation(&["status", "--cycle", "b", "--json"]).1;
    let only: serde_json::Value = serde_json::from_str(&only).expect("JSON");
    assert_eq!((&only["pending"], &only["cycles"]), (&serde_json::json!([]), &serde_json::json!([])));
}
