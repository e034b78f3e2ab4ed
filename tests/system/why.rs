//! `nowcast why`: the causes of what happened, and of what did not.

use serde_json::Value;

use crate::support::system::{System, system};

fn why(system: &System, what: &str) -> Value {
    let text = system.operate(&["why", "--json", what]);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The kinds of a chain's steps, the nearest first.
fn kinds(page: &Value) -> Vec<&str> {
    let steps = page["causes"]["steps"].as_array().expect("a list");
    steps.iter().map(|step| step["kind"].as_str().expect("text")).collect()
}

/// Whether texts stand in a text in that order.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("{part:?} is missing or too early in\n{text}") };
        rest = &rest[at + part.len()..];
    }
}

fn wait_for_done(system: &System, worker: &str) {
    system.wait_for(&format!("the report of {worker}"), || {
        system.operate(&["runs", "--worker", worker]).contains("succeeded").then_some(())
    });
}

const SILENT: &str = "workers: {upload: {command: ['true']}}";

#[test]
fn a_run_is_followed_back_to_the_message_that_began_it() {
    let system = system()
        .rules(
            "function after_keyless() return { NextWorker('awaken') } end
             function after_awaken(msg, config, checklist)
               if checklist.sleepyhead.awoke then return { NextWorker('sleep', { '--sleep-time', 0 }) } end
             end",
        )
        .start();
    system.works();
    wait_for_done(&system, "sleep");
    let text = system.operate(&["why", "sleep"]);
    in_order(
        &text,
        &[
            "LAST RUN",
            "of sleep --sleep-time 0",
            "exited with status 0",
            "reported as #",
            "its rule returned no launches",
            "BECAUSE",
            "message from awaken (success)",
            "rule next_workers.lua:7, rules generation 1; it read sleepyhead: awoke",
            "run of awaken: exited with status 0",
            "message from keyless (success)",
            "rule next_workers.lua:6",
            "keyless was launched by hand or by another program",
            "TRY",
            "nowcast tail ",
        ],
    );
    let answer = why(&system, "sleep");
    assert_eq!(kinds(&answer["last_run"]), ["message", "run", "message", "event"]);
    // The same page has a number.
    let number = answer["last_run"]["number"].to_string();
    assert_eq!(why(&system, &number), answer["last_run"]);
    assert_eq!(why(&system, &format!("#{number}")), answer["last_run"]);
}

#[test]
fn a_join_is_explained_while_it_waits_and_afterwards() {
    let system = system()
        .worker("weather: {success: yes, crash: no}")
        .worker("rivers: {success: yes, crash: no}")
        .worker("ssh: {success: yes, crash: no}")
        .worker("upload: {success: yes, crash: no}")
        .section(SILENT)
        .rules(
            "function after_weather() return {}, { 'rivers', 'ssh' } end
             function after_rivers() return { NextWorker('upload', { '--debug' }) } end
             function after_ssh() return {} end
             function after_upload() return {} end",
        )
        .start();
    system.send("weather", "success", "null");
    system.send("rivers", "success", "null");
    let text = system.operate(&["why", "upload"]);
    in_order(
        &text,
        &[
            "BLOCKED BY",
            "upload --debug waits in the join #",
            "of weather, which needs ssh, 1 launch waits",
            "nowcast why ssh",
            "it has no run yet",
        ],
    );
    let answer = why(&system, "ssh");
    assert_eq!(answer["dependents"][0]["kind"], "dependent");
    let join = answer["dependents"][0]["number"].to_string();
    in_order(
        &system.operate(&["why", &join]),
        &[
            "of weather",
            "needs ssh",
            "received #",
            "rivers (success)",
            "launch of upload",
            "BECAUSE",
            "from weather",
        ],
    );
    system.send("ssh", "success", "null");
    let answer = why(&system, "upload");
    assert_eq!(kinds(&answer["last_run"]), ["join", "message", "event"]);
    let text = system.operate(&["why", "upload"]);
    in_order(
        &text,
        &["waited in join weather until #", "ssh (success) came", "message from rivers (success)"],
    );
    let ssh = system.operate(&["messages", "--json", "--worker", "ssh"]);
    let ssh: Value = serde_json::from_str(&ssh).expect("JSON");
    let text = system.operate(&["why", &ssh[0]["number"].to_string()]);
    in_order(&text, &["it counted in the join", "of weather and completed it"]);
}

#[test]
fn a_hold_is_shown_with_the_command_that_ends_it() {
    let system = system().rules("function after_keyless() return { NextWorker('awaken') } end").start();
    system.operate(&["hold", "--worker", "awaken", "--reason", "maintenance"]);
    system.works();
    let answer = why(&system, "awaken");
    let reasons = answer["blocked_by"].as_array().expect("a list");
    assert_eq!(reasons[0]["kind"], "pending");
    assert_eq!(reasons[1]["kind"], "hold");
    let hold = reasons[1]["number"].to_string();
    assert!(
        reasons[0]["try"][0]
            == serde_json::json!({"command": format!("nowcast release {hold}"), "effect": "ends the hold"})
    );
    let text = system.operate(&["why", &hold]);
    in_order(&text, &["of worker awaken", "created by ", "reason: maintenance", "holds #", "awaken"]);
    system.operate(&["release", &hold]);
    wait_for_done(&system, "awaken");
    let text = system.operate(&["why", &hold]);
    assert!(text.contains(&format!("nowcast release {hold}")), "{text}");
    assert!(text.contains("ended with #"), "{text}");
}

#[test]
fn a_parked_message_and_its_retry_are_explained() {
    let system = system().rules("function after_sleep(msg) if msg.type == 'never' then return { NextWorker('awaken') } end error('not yet') end").start();
    system.send("sleep", "success", "null");
    let answer = why(&system, "awaken");
    let reason = &answer["not_since"][0];
    assert_eq!(reason["kind"], "message");
    let parked = reason["number"].to_string();
    let text = reason["text"].as_str().expect("text");
    assert!(text.contains("its rule failed: next_workers.lua:6: not yet"), "{text}");
    assert_eq!(reason["try"][0]["command"], format!("nowcast retry {parked}"));
    in_order(
        &system.operate(&["why", &parked]),
        &[
            "message #",
            "sleep (success)",
            "stack traceback",
            "parked: its rule failed",
            "TRY",
            "nowcast retry ",
        ],
    );
    system.write_rules("function after_sleep() return { NextWorker('awaken') } end\nfunction after_awaken() return {} end\nfunction after_keyless() return {} end\nfunction after_clear_checklist() return {} end\nfunction after_rotate_logs() return {} end");
    system.works();
    system.operate(&["retry", &parked]);
    wait_for_done(&system, "awaken");
    let answer = why(&system, "awaken");
    assert_eq!(kinds(&answer["last_run"]), ["message", "command", "message", "event"], "{answer}");
    in_order(
        &system.operate(&["why", "awaken"]),
        &[
            "message from sleep (success), decided again for an operator",
            &format!("nowcast retry {parked}"),
            &format!("#{parked}"),
            "message from sleep (success): rule failed",
        ],
    );
    assert!(system.operate(&["why", &parked]).contains("parked until #"));
}

#[test]
fn a_rule_without_launches_is_shown_with_the_keys_it_read() {
    let system = system()
        .rules(
            "function after_sleep(msg, config, checklist)
               if checklist.sleepyhead and checklist.sleepyhead.ready then return { NextWorker('awaken') } end
               return {}
             end",
        )
        .start();
    let never = system.operate(&["why", "awaken"]);
    in_order(&never, &["NOT LAUNCHED YET", "sleep, whose rule launches it, has sent no message yet"]);
    system.send("sleep", "success", "{ready: true}");
    wait_for_done(&system, "awaken");
    assert!(!system.operate(&["why", "awaken"]).contains("NOT LAUNCHED"));
    system.send("sleep", "success", "{ready: false}");
    in_order(
        &system.operate(&["why", "awaken"]),
        &[
            "NOT LAUNCHED SINCE",
            "sleep (success) at ",
            "rule next_workers.lua:6, rules generation 1; it read sleepyhead",
            "its rule returned no launches",
            "nowcast why ",
            "LAST RUN",
        ],
    );
}

#[test]
fn a_retry_is_followed_over_the_crash_that_was_made_to_the_command_that_began_it() {
    let system = system().section("workers: {awaken: {command: ['false'], retries: 1}}").start();
    system.operate(&["launch", "awaken"]);
    system.wait_for("both crashes", || {
        (system.operate(&["messages", "--worker", "awaken"]).matches("crash").count() == 2).then_some(())
    });
    let answer = why(&system, "awaken");
    assert_eq!(kinds(&answer["last_run"]), ["message", "run", "command"], "{answer}");
    in_order(
        &system.operate(&["why", "awaken"]),
        &[
            "exited with status 1",
            "attempt 2: #",
            "reported as #",
            "made by the manager, since the run ended without a report: retried",
            "run of awaken: exited with status 1",
            "nowcast launch awaken",
        ],
    );
}

#[test]
fn a_long_chain_is_shortened_in_the_middle() {
    let system = system().rules("function after_awaken() return { NextWorker('awaken') } end").start();
    system.send("awaken", "success", "null");
    system.wait_for_log_count("manager", "launching NextWorker(module='awaken'", 14);
    system.write_rules("function after_awaken() return {} end\nfunction after_sleep() return {} end\nfunction after_keyless() return {} end\nfunction after_clear_checklist() return {} end\nfunction after_rotate_logs() return {} end");
    let page = &why(&system, "awaken")["last_run"];
    assert_eq!(kinds(page).len(), 20);
    assert!(page["causes"]["left_out"].as_u64().is_some_and(|count| count >= 7), "{page}");
    let text = system.operate(&["why", "awaken"]);
    in_order(&text, &["more …", "awaken was launched by hand or by another program"]);
}

#[test]
fn unknown_numbers_and_workers_are_reported() {
    let system = system().start();
    let (status, text) = system.operation(&["why", "9999"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("nothing has the number #9999"), "{text}");
    let (status, text) = system.operation(&["why", "stranger"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("registered are: sleep, awaken"), "{text}");
}

#[test]
fn parked_launches_are_explained_with_their_release() {
    let system = system()
        .rules(
            "function after_keyless() return {}, Join{ name = 'forcing', wait_for = { 'sleep' }, launch = { NextWorker('awaken') } } end",
        )
        .start();
    system.works();
    system.works();
    let answer = why(&system, "awaken");
    let reasons = answer["blocked_by"].as_array().expect("a list");
    let kinds_before: Vec<&Value> = reasons.iter().map(|reason| &reason["kind"]).collect();
    assert_eq!(kinds_before, ["join", "parked"], "{answer}");
    let parked = reasons[1]["number"].to_string();
    in_order(
        &system.operate(&["why", &parked]),
        &["of forcing", "ended with #", "launches parked at ", "was reopened", "nowcast release "],
    );
    system.operate(&["release", &parked]);
    wait_for_done(&system, "awaken");
    let answer = why(&system, "awaken");
    assert_eq!(kinds(&answer["last_run"]), ["command", "message", "event"], "{answer}");
    assert!(system.operate(&["why", &parked]).contains(&format!("nowcast release {parked}")));
}

#[test]
fn pending_launches_show_their_time_or_limit() {
    let system = system().section("workers: {sleep: {max running: 1}}").start();
    system.operate(&["launch", "sleep", "--sleep-time", "1000"]);
    system.wait_for_log("manager", "launching NextWorker(module='sleep'");
    system.operate(&["launch", "sleep"]);
    system.operate(&["launch", "--delay", "1h", "awaken"]);
    let text = system.operate(&["why", "sleep"]);
    in_order(
        &text,
        &[
            "of sleep --sleep-time 1000: running for",
            "nowcast tail -f",
            "pending, blocked by `max running: 1` of sleep",
        ],
    );
    let text = system.operate(&["why", "awaken"]);
    in_order(&text, &["BLOCKED BY", "pending until ", "launches it now", "nowcast discard "]);
    let runs: Value =
        serde_json::from_str(&system.operate(&["runs", "--json", "--worker", "sleep"])).expect("JSON");
    system.operate(&["discard", &runs[0]["number"].to_string()]);
    system.operate(&["kill", &runs[1]["number"].to_string()]);
}

#[test]
fn refused_rules_are_named_as_a_reason() {
    let system = system().start();
    system.write_rules("function after_keyless( end");
    system.works();
    let answer = why(&system, "awaken");
    assert_eq!(answer["blocked_by"][0]["kind"], "rules", "{answer}");
    let number = answer["blocked_by"][0]["number"].to_string();
    assert!(system.operate(&["why", &number]).contains("next_workers.lua"), "{answer}");
}

#[test]
fn its_own_retry_is_nothing_that_did_not_launch_it() {
    let system = system().section("workers: {awaken: {command: ['false'], retries: 1}}").start();
    system.operate(&["launch", "awaken"]);
    system.wait_for("both crashes", || {
        (system.operate(&["messages", "--worker", "awaken"]).matches("crash").count() == 2).then_some(())
    });
    let answer = why(&system, "awaken");
    assert_eq!(answer["not_since"], serde_json::json!([]), "{answer}");
}

#[test]
fn a_join_opened_after_its_required_message_shows_it() {
    let system = system()
        .rules(
            "function after_sleep() return {} end
             function after_keyless() return {}, Join{ name = 'forcing', wait_for = { 'sleep' }, launch = { NextWorker('awaken') } } end",
        )
        .start();
    system.send("sleep", "success", "null");
    system.send("keyless", "success", "null");
    let join = why(&system, "awaken")["blocked_by"][0]["number"].to_string();
    in_order(
        &system.operate(&["why", &join]),
        &[
            "needs sleep, 1 launch waits",
            " sleep (success) came at ",
            ", before the join was opened, so it does not count",
            "TRY",
            "nowcast why sleep  shows whether it comes again",
            &format!("nowcast release {join}"),
        ],
    );
}

#[test]
fn a_killed_run_does_not_tell_how_long_its_worker_usually_takes() {
    // As a worker in Python does, it ends with status 0 on SIGTERM.
    let script = "trap 'exit 0' TERM; touch ready; while [ ! -e go ]; do sleep 0.05; done";
    let system =
        system().section(&format!("workers: {{awaken: {{command: [sh, -c, \"{script}\"]}}}}")).start();
    system.operate(&["launch", "awaken", "--debug"]);
    let runs = || -> Value { serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON") };
    system.wait_for("the worker", || system.path("ready").exists().then_some(()));
    system.operate(&["kill", &runs()[0]["number"].to_string()]);
    system.wait_for("its end", || runs()[0]["ended"].is_string().then_some(()));
    system.operate(&["launch", "awaken", "--debug"]);
    system.wait_for("the second run", || (runs()[0]["state"] == "running").then_some(()));
    assert!(!system.operate(&["why", "awaken"]).contains("usual duration"));
    std::fs::write(system.path("go"), "").expect("written");
    system.wait_for("its end", || runs()[0]["ended"].is_string().then_some(()));
    std::fs::remove_file(system.path("go")).expect("removed");
    system.operate(&["launch", "awaken", "--debug"]);
    system.wait_for("the third run", || (runs()[0]["state"] == "running").then_some(()));
    assert!(system.operate(&["why", "awaken"]).contains("usual duration"));
    std::fs::write(system.path("go"), "").expect("written");
}
