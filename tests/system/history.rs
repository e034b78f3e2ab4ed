//! What happened and what it wrote: `runs`, `messages`, `tail`; and what is done again: `rerun`, `send`.

use std::process::Stdio;

use serde_json::Value;

use crate::support::system::{System, system};

fn json(system: &System, arguments: &[&str]) -> Value {
    let text = system.operate(arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn runs(system: &System, worker: &str) -> Vec<Value> {
    json(system, &["runs", "--json", "--worker", worker]).as_array().expect("a list").clone()
}

fn wait_for_runs(system: &System, worker: &str, states: &[&str]) -> Vec<Value> {
    system.wait_for(&format!("{worker}: {states:?}"), || {
        let runs = runs(system, worker);
        let found: Vec<&str> = runs.iter().filter_map(|run| run["state"].as_str()).collect();
        (found == states).then_some(runs)
    })
}

#[test]
fn runs_are_listed_newest_first_and_can_be_chosen() {
    let system = system().section("workers: {sleep: {command: ['false']}}").start();
    assert_eq!(system.operate(&["runs"]), "no matching runs\n");
    system.operate(&["launch", "awaken"]);
    wait_for_runs(&system, "awaken", &["succeeded"]);
    system.operate(&["launch", "sleep", "--debug", "a b"]);
    wait_for_runs(&system, "sleep", &["crashed"]);
    system.operate(&["launch", "--delay", "1h", "awaken"]);
    let text = system.operate(&["runs"]);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        ["RUN", "STATE", "WORKER", "ARGS", "STARTED", "FOR", "ENDING", "HOST", "ATTEMPT", "CAUSE"]
    );
    assert_eq!(lines[1][1..4], ["◔", "pending", "awaken"], "{text}");
    assert!(text.lines().nth(2).is_some_and(|line| line.contains("--debug 'a b'")), "{text}");
    assert!(
        text.lines().nth(2).is_some_and(|line| line.contains("exited with status 1  localhost")),
        "{text}"
    );
    assert_eq!(lines[3][1..4], ["✔", "succeeded", "awaken"], "{text}");
    assert_eq!(system.operate(&["runs", "-n", "1"]).lines().count(), 2);
    assert!(system.operate(&["runs", "--failed"]).contains("sleep"));
    assert!(!system.operate(&["runs", "--failed"]).contains("awaken"));
    assert!(system.operate(&["runs", "--open"]).contains("pending"));
    assert_eq!(system.operate(&["runs", "--open", "--worker", "sleep"]), "no matching runs\n");
    assert_eq!(system.operate(&["runs", "--since", "2d"]).lines().count(), 4);
    assert_eq!(system.operate(&["runs", "--since", "2999-01-01"]), "no matching runs\n");
}

#[test]
fn messages_are_listed_with_their_outcomes() {
    let system = system()
        .rules("function after_sleep() error('not yet') end function after_keyless() return { NextWorker('awaken') } end")
        .start();
    system.works();
    wait_for_runs(&system, "awaken", &["succeeded"]);
    system.send("sleep", "success", "{1: 2026-03-14}");
    system.send("nobody", "success", "null");
    system.send_raw("no message");
    let messages = json(&system, &["messages", "--json"]);
    let outcomes: Vec<&str> = messages
        .as_array()
        .expect("a list")
        .iter()
        .map(|message| message["outcome"].as_str().expect("text"))
        .collect();
    assert_eq!(outcomes, ["refused", "refused", "rule_failed", "ruled", "ruled"]);
    assert_eq!(messages[2]["payload"], "1: 2026-03-14\n");
    assert_eq!(messages[3]["run"], messages[4]["launched"][0]);
    assert_eq!(messages[4]["rule"], "next_workers.lua:6");
    let parked = system.operate(&["messages", "--parked"]);
    assert_eq!(parked.lines().count(), 2, "{parked}");
    assert!(parked.contains("next_workers.lua:6: not yet"), "{parked}");
    assert_eq!(system.operate(&["messages", "--parked", "--worker", "awaken"]), "no matching messages\n");
    assert_eq!(system.operate(&["messages", "--worker", "awaken", "--type", "success"]).lines().count(), 2);
    assert_eq!(system.operate(&["messages", "-n", "2"]).lines().count(), 3);
}

#[test]
fn a_name_from_the_wire_does_not_steer_the_terminal() {
    let system = system().start();
    system.send_raw("{source: \"a\\e[2Jb\", type: success, payload: null}");
    let text = system.operate(&["messages"]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains("a\\x1b[2Jb"), "{text:?}");
}

#[test]
fn the_output_of_a_run_is_shown_and_followed_to_its_end() {
    let script = "echo one; echo two; while ! test -e go; do sleep 0.02; done; echo three";
    let mut system =
        system().section(&format!("workers: {{awaken: {{command: [sh, -c, '{script}']}}}}")).start();
    system.operate(&["launch", "awaken", "--debug"]);
    system.wait_for("its output", || {
        let (_, text) = system.operation(&["tail", "awaken"]);
        (text == "one\ntwo\n").then_some(())
    });
    assert_eq!(system.operate(&["tail", "-n", "1", "awaken"]), "two\n");
    let command = system.command(&["tail", "-f", "-n", "1", "awaken"]);
    system.spawn("tail", command);
    system.wait_for_log("tail", "two\n");
    std::fs::write(system.path("go"), "").expect("a file");
    assert!(system.wait_for_end("tail").success());
    assert_eq!(system.log("tail"), "two\nthree\n");
}

#[test]
fn following_ends_when_the_journal_says_so_or_the_folder_is_gone() {
    let script = "echo begun; while [ ! -e go ]; do sleep 0.05; done";
    let mut system =
        system().section(&format!("workers: {{awaken: {{command: [sh, -c, '{script}']}}}}")).start();
    let follow = |system: &mut System, run: &str| {
        let command = system.command(&["tail", "-f", run]);
        system.spawn("tail", command);
    };
    system.operate(&["launch", "awaken"]);
    let run = wait_for_runs(&system, "awaken", &["running"]).remove(0);
    let number = run["number"].to_string();
    let output = std::path::PathBuf::from(run["output"].as_str().expect("a path"));
    let folder = output.parent().expect("a folder");
    follow(&mut system, &number);
    system.wait_for_log("tail", "begun");
    std::fs::remove_dir_all(folder).expect("it can be removed");
    assert!(system.wait_for_end("tail").success());
    std::fs::write(system.path("go"), "").expect("the word to go on");
    wait_for_runs(&system, "awaken", &["crashed"]);
    let (status, text) = system.operation(&["tail", "-f", &number]);
    assert_eq!(status, Some(1));
    assert!(text.contains(&format!("cannot read the output of run #{number}")), "{text}");
    assert!(text.contains("it exited with unknown status"), "{text}");

    system.operate(&["hold", "--all"]);
    system.operate(&["launch", "awaken"]);
    let number = wait_for_runs(&system, "awaken", &["pending", "crashed"])[0]["number"].to_string();
    follow(&mut system, &number);
    system.operate(&["discard", &number]);
    assert_eq!(system.wait_for_end("tail").code(), Some(1));
    system.wait_for_log("tail", &format!("run #{number} was never launched"));
}

#[test]
fn missing_output_is_reported_with_a_remedy() {
    let system = system().start();
    assert!(system.operation(&["tail", "awaken"]).1.contains("worker \"awaken\" has no run yet"));
    assert!(system.operation(&["tail", "77"]).1.contains("there is no run #77"));
    system.operate(&["launch", "--delay", "1h", "awaken"]);
    let (status, text) = system.operation(&["tail", "awaken"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("is pending; \"nowcast why "), "{text}");
}

#[test]
fn a_run_is_run_again_with_its_arguments_or_others() {
    let system = system().section("workers: {awaken: {command: ['true']}}").start();
    system.operate(&["launch", "awaken", "--debug", "a b"]);
    let first = wait_for_runs(&system, "awaken", &["succeeded"])[0]["number"].to_string();
    let answer = system.operate(&["rerun", &first]);
    assert!(answer.contains(&format!("again after #{first}")), "{answer}");
    let again = wait_for_runs(&system, "awaken", &["succeeded", "succeeded"]);
    assert_eq!(again[0]["args"], serde_json::json!(["--debug", "a b"]));
    system.operate(&["rerun", &first, "--debug", "c"]);
    let other = wait_for_runs(&system, "awaken", &["succeeded", "succeeded", "succeeded"]);
    assert_eq!(other[0]["args"], serde_json::json!(["--debug", "c"]));
    assert!(system.operate(&["why", "awaken"]).contains(&format!("nowcast rerun {first}")));
    let (status, text) = system.operation(&["rerun", "4711"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("there is no run #4711"), "{text}");
}

#[test]
fn a_run_that_is_open_is_not_run_again() {
    let system = system().start();
    system.operate(&["launch", "--delay", "1h", "awaken"]);
    let run = runs(&system, "awaken")[0]["number"].to_string();
    let (status, text) = system.operation(&["rerun", &run]);
    assert_eq!(status, Some(1));
    assert!(text.contains("is pending"), "{text}");
}

#[test]
fn an_operator_speaks_for_a_worker() {
    let system =
        system().rules("function after_sleep(msg) log.info('heard ' .. msg.type) return {} end").start();
    let answer = system.operate(&["send", "sleep", "success", "{sleep time: 7}"]);
    assert!(answer.contains("is decided"), "{answer}");
    system.wait_for_log("manager", "heard success");
    system.wait_for_checklist("{sleepyhead: {sleep time: 7}}");
    assert!(system.operate(&["messages"]).contains("sent by an operator"));
    let (status, text) = system.operation(&["send", "sleep", "success", "{a"]);
    assert_eq!(status, Some(2));
    assert!(text.contains("the payload is not valid YAML"), "{text}");
    let (status, text) = system.operation(&["send", "sleep", "sucess"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("unregistered message type"), "{text}");
}

#[test]
fn a_dry_run_shows_the_decision_and_changes_nothing() {
    let system = system()
        .rules(
            "function after_sleep(msg, config, checklist)
               if msg.type == 'failure' then error('oh no') end
               log.info('the day is ' .. tostring(checklist.sleepyhead.day))
               return { NextWorker('awaken', { checklist.sleepyhead.day }) }, Join{ name = 'forcing', wait_for = { 'keyless' } }
             end",
        )
        .start();
    system.operate(&["hold", "--worker", "awaken"]);
    let before = system.operate(&["messages", "--json"]) + &system.operate(&["runs", "--json"]);
    let send = ["send", "--dry-run", "sleep", "success", "{day: 2026-03-14}"];
    let text = system.operate(&send);
    for part in [
        "Nothing was sent.",
        "rule       next_workers.lua:6; it reads sleepyhead: day",
        "checklist  sleepyhead:\n             day: 2026-03-14",
        "launch     awaken 2026-03-14 on localhost; it would wait: hold #",
        "join       forcing would require keyless; 0 would wait in it",
        "log        INFO the day is 2026-03-14",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let plan = json(&system, &[&send[..], &["--json"]].concat());
    assert_eq!(plan["launches"][0]["args"], serde_json::json!(["2026-03-14"]));
    assert_eq!(plan["launches"][0]["at_once"], false);
    let (status, text) = system.operation(&["send", "--dry-run", "sleep", "failure"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("error      next_workers.lua:7: oh no"), "{text}");
    let after = system.operate(&["messages", "--json"]) + &system.operate(&["runs", "--json"]);
    assert_eq!(before, after);
    assert_eq!(system.operate(&["checklist", "show"]), "{}\n");
}

#[test]
fn a_dry_run_needs_no_manager_and_sees_the_rules_as_they_are_saved() {
    let mut system = system().start();
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    system.write_rules("function after_keyless() return { NextWorker('awaken') } end");
    assert!(
        system
            .operate(&["send", "--dry-run", "keyless", "success"])
            .contains("launch     awaken on localhost")
    );
    system.write_rules("function after_keyless( end");
    let (status, text) = system.operation(&["send", "--dry-run", "keyless", "success"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("next_workers.lua"), "{text}");
}

#[test]
fn a_reader_who_has_gone_is_no_error() {
    let system = system().start();
    system.works();
    for arguments in [&["messages"][..], &["status"], &["checklist", "show"], &["messages", "--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = system
            .command(arguments)
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn without_a_journal_the_commands_say_so() {
    let system = system().prepare();
    for arguments in [&["runs"][..], &["messages"], &["why", "sleep"], &["tail", "sleep"], &["rerun", "5"]] {
        let (status, text) = system.operation(arguments);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains("no manager has run with this configuration yet"), "{text}");
    }
}

#[test]
fn a_dry_run_shows_a_join_that_would_be_complete() {
    let system = system()
        .rules(
            "function after_sleep() return {}, Join{ name = 'forcing', wait_for = { 'keyless' }, launch = { NextWorker('awaken') } } end",
        )
        .start();
    system.send("sleep", "success", "null");
    let text = system.operate(&["send", "--dry-run", "keyless", "success"]);
    assert!(text.contains("launch     awaken on localhost\njoin       forcing would be complete"), "{text}");
    // A reopened join parks its launches.
    let text = system.operate(&["send", "--dry-run", "sleep", "success"]);
    assert!(text.contains("park       awaken: join forcing was reopened"), "{text}");
    assert!(!text.contains("complete"), "{text}");
}

#[test]
fn the_columns_of_csv_are_the_keys_of_json() {
    let system = system().section("workers: {sleep: {command: [sh, -c, 'exit 1']}}").start();
    system.send("keyless", "success", "'=1+1'");
    system.operate(&["launch", "--cycle", "2026-03-14", "sleep", "a,b", "c"]);
    system.wait_for("its end", || system.operate(&["runs"]).contains("crashed").then_some(()));
    for list in ["runs", "messages", "cycles"] {
        let csv = system.operate(&[list, "--csv"]);
        let json: serde_json::Value = serde_json::from_str(&system.operate(&[list, "--json"])).expect("JSON");
        let mut columns: Vec<&str> = csv.lines().next().expect("a header").split(',').collect();
        let mut keys: Vec<&String> = json[0].as_object().expect("an item").keys().collect();
        columns.sort_unstable();
        keys.sort_unstable();
        assert_eq!(columns, keys, "{list}");
    }
    assert!(system.operate(&["runs", "--csv"]).contains(r#","[""a,b"",""c""]","#));
    let messages = system.operate(&["messages", "--csv"]);
    assert!(messages.contains("'=1+1"), "no formula: {messages}");
}
