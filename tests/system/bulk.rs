//! Operators' commands for many numbers at once.

use serde_json::Value;

use crate::support::system::{System, system};

fn json(system: &System, arguments: &[&str]) -> Value {
    serde_json::from_str(&system.operate(arguments)).expect("JSON")
}

/// Wait until so many runs have this state.
fn wait_for_runs(system: &System, state: &str, count: usize) {
    system.wait_for(state, || {
        let runs = json(system, &["runs", "-n", "100", "--json"]);
        let found = runs.as_array()?.iter().filter(|run| run["state"] == state).count();
        (found == count).then_some(())
    });
}

fn numbers(items: &Value) -> Vec<u64> {
    items.as_array().expect("a list").iter().filter_map(|item| item["number"].as_u64()).collect()
}

#[test]
fn failed_runs_are_shown_and_run_again_each_by_a_command_of_its_own() {
    let system = system()
        .section("workers: {sleep: {command: [sh, -c, 'exit 1']}, awaken: {command: [sh, -c, 'exit 1']}}")
        .start();
    for argument in ["a", "a", "b"] {
        system.operate(&["launch", "--cycle", "none", "sleep", argument]);
    }
    system.operate(&["launch", "--cycle", "none", "awaken"]);
    wait_for_runs(&system, "crashed", 4);
    let shown = system.operate(&["rerun", "--failed", "--worker", "sleep", "--dry-run"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "of two runs of the same work, the latest: {shown}");
    assert!(
        lines[0].contains(" sleep a: exited with status 1") && lines[1].contains(" sleep b: "),
        "{shown}"
    );

    let (status, text) = system.operation(&["rerun", "--failed", "--worker", "sleep"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("there is no terminal for the question; add --yes"), "{text}");
    assert_eq!(json(&system, &["runs", "--json"]).as_array().map(Vec::len), Some(4), "nothing was done");

    let done = json(&system, &["rerun", "--failed", "--worker", "sleep", "--yes", "--json"]);
    assert_eq!(done.as_array().map(Vec::len), Some(2), "{done:#}");
    assert!(
        done[0]["done"] == true && done[0]["what"].as_str().expect("text").starts_with("sleep a: "),
        "{done:#}"
    );
    let runs = json(&system, &["runs", "--json"]);
    let (last, before) = (&runs[0], &runs[1]);
    assert_eq!((&last["args"][0], &before["args"][0]), (&"b".into(), &"a".into()));
    assert_ne!(last["cause"], before["cause"], "each has a command of its own");
    wait_for_runs(&system, "crashed", 6);
    assert_eq!(
        numbers(&json(&system, &["rerun", "--failed", "--worker", "sleep", "--dry-run", "--json"])).len(),
        2
    );
    assert_eq!(system.operate(&["rerun", "--failed", "--host", "nowhere", "--yes"]), "nothing is selected\n");
}

#[test]
fn an_option_behind_the_number_is_not_taken_for_an_argument_of_the_worker() {
    let system = system().section("workers: {sleep: {command: [sh, -c, 'exit 1']}}").start();
    system.operate(&["launch", "--cycle", "none", "sleep", "a"]);
    wait_for_runs(&system, "crashed", 1);
    let run = json(&system, &["runs", "--json"])[0]["number"].as_u64().expect("a number").to_string();
    for option in ["--dry-run", "--yes", "--failed"] {
        let (status, text) = system.operation(&["rerun", &run, option]);
        assert!(status == Some(2) && text.contains("would be an argument of the worker"), "{text}");
    }
    system.operate(&["rerun", &run, "--", "--dry-run"]);
    wait_for_runs(&system, "crashed", 2);
    assert_eq!(json(&system, &["runs", "--json"])[0]["args"][0], "--dry-run");
}

#[test]
fn one_that_is_refused_is_reported_and_the_others_are_done() {
    let system = system().section("workers: {sleep: {command: [sh, -c, 'exit 1']}}").start();
    system.operate(&["launch", "--cycle", "2026-03-14", "sleep"]);
    wait_for_runs(&system, "crashed", 1);
    system.operate(&["launch", "--cycle", "none", "sleep"]);
    wait_for_runs(&system, "crashed", 2);
    system.operate(&["cycle", "cancel", "2026-03-14"]);
    let (status, text) = system.operation(&["rerun", "--failed", "--yes"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("sleep is launched as run #") && text.contains("1 of 2 were refused"), "{text}");
    assert!(text.contains("sleep of cycle 2026-03-14: exited with status 1"), "{text}");
    // A cycle alone might rerun all of its runs.
    let (status, text) = system.operation(&["rerun", "--cycle", "2026-03-14", "--yes"]);
    assert!(
        status == Some(2) && text.contains("add --from WORKER to rewind the cycle, or --failed"),
        "{text}"
    );
}

#[test]
fn the_joins_of_a_cycle_are_selected_with_what_waits_in_them() {
    let rules = r#"
function after_sleep(msg)
  return {}, Join{ name = "tracks", cycle = msg.cycle, wait_for = { "sleep", "awaken" }, launch = { NextWorker("awaken") } }
end"#;
    let system = system().rules(rules).section("workers: {sleep: {command: ['true']}}").start();
    for cycle in ["2026-03-13", "2026-03-14"] {
        system.operate(&["send", "--cycle", cycle, "sleep", "success"]);
    }
    let joins = json(&system, &["status", "--json"])["joins"].as_array().expect("a list").len();
    assert_eq!(joins, 2);
    let shown = system.operate(&["discard", "--cycle", "2026-03-14", "--dry-run"]);
    assert!(shown.starts_with('#') && !shown.starts_with("##"), "{shown}");
    assert!(shown.contains(" join tracks: awaken; needs awaken"), "{shown}");
    assert_eq!(
        system.operate(&["discard", "--cycle", "2026-03-14", "--worker", "sleep", "--dry-run"]),
        "nothing is selected\n"
    );
    system.operate(&["discard", "--cycle", "2026-03-14", "--yes"]);
    let left = json(&system, &["status", "--json"]);
    assert_eq!(left["joins"].as_array().expect("a list").len(), 1, "{left}");
}

#[test]
fn running_runs_are_stopped_and_failed_ones_acknowledged() {
    let system = system()
        .section("workers: {sleep: {command: [sleep, '1000']}, awaken: {command: [sleep, '1000']}}")
        .start();
    for worker in ["sleep", "sleep", "awaken"] {
        system.operate(&["launch", worker]);
    }
    wait_for_runs(&system, "running", 3);
    assert_eq!(system.operate(&["kill", "--worker", "sleep", "--since", "1h", "--yes"]).lines().count(), 2);
    wait_for_runs(&system, "crashed", 2);
    wait_for_runs(&system, "running", 1);
    let status = system.operation(&["status"]).1;
    assert!(status.contains("FAILED") && !status.contains("acknowledged"), "{status}");
    system.operate(&["ack", "--worker", "sleep", "--reason", "maintenance", "--yes"]);
    let status = system.operation(&["status"]).1;
    assert!(status.contains("maintenance"), "{status}");
    assert_eq!(system.operate(&["ack", "--worker", "sleep", "--yes"]), "nothing is selected\n");
}

#[test]
fn parked_messages_and_pending_launches_are_decided_together() {
    let system = system()
        .rules("function after_sleep() error('not yet') end\nfunction after_keyless() error('not yet') end")
        .start();
    for worker in ["sleep", "keyless", "keyless"] {
        system.send(worker, "success", "null");
    }
    system.wait_for_log_count("manager", "nowcast retry ", 3);
    let shown = json(&system, &["discard", "--worker", "keyless", "--dry-run", "--json"]);
    assert_eq!(numbers(&shown).len(), 2, "{shown:#}");
    system.operate(&["discard", "--worker", "keyless", "--yes"]);
    assert_eq!(json(&system, &["messages", "--parked", "--json"]).as_array().map(Vec::len), Some(1));
    system.write_rules("function after_sleep() return {} end function after_awaken() return {} end function after_keyless() return {} end\n\
                        function after_clear_checklist() return {} end function after_rotate_logs() return {} end");
    system.operate(&["retry", "--since", "1h", "--yes"]);
    assert_eq!(json(&system, &["messages", "--parked", "--json"]), serde_json::json!([]));

    for worker in ["awaken", "sleep", "sleep"] {
        system.operate(&["launch", "--delay", "1h", worker]);
    }
    let shown = system.operate(&["release", "--worker", "awaken", "--dry-run"]);
    assert!(shown.contains(" awaken: pending") && shown.lines().count() == 1, "{shown}");
    system.operate(&["release", "--worker", "awaken", "--yes"]);
    system.wait_for_log("manager", "INFO [awaken] awoke");
    system.operate(&["discard", "--worker", "sleep", "--yes"]);
    wait_for_runs(&system, "discarded", 2);
}
