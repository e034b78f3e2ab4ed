//! `nowcast status`: what needs attention comes first.

use std::process::Command;

use serde_json::Value;

use crate::support::system::{System, system};

fn status(system: &System) -> Value {
    let (_, text) = system.operation(&["status", "--json"]);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The kinds of what needs attention.
fn attention(system: &System) -> Vec<String> {
    let status = status(system);
    let items = status["attention"].as_array().expect("a list");
    items.iter().map(|item| item["kind"].as_str().expect("text").to_owned()).collect()
}

/// The line of the text that begins with that, as it is.
#[track_caller]
fn line<'a>(text: &'a str, begin: &str) -> &'a str {
    let found = text.lines().find(|line| line.starts_with(begin));
    found.unwrap_or_else(|| panic!("no {begin} in\n{text}"))
}

/// The line below that one: the commands that help.
#[track_caller]
fn below<'a>(text: &'a str, begin: &str) -> &'a str {
    let at = text.lines().position(|line| line.starts_with(begin));
    text.lines().nth(at.unwrap_or_else(|| panic!("no {begin} in\n{text}")) + 1).unwrap_or_default()
}

#[test]
fn a_healthy_system_has_exit_status_0() {
    let system = system().start();
    let text = system.operate(&["status"]);
    let name = system.path("").file_name().expect("a name").to_string_lossy().into_owned();
    let first = line(&text, &name);
    assert!(first.starts_with(&format!("{name}   HEALTHY   2/2 daemons   rules 1   ")), "{text}");
    assert_eq!(text.lines().count(), 1, "a healthy system is a quiet page: {text}");
}

#[test]
fn without_daemons_it_names_them_and_shows_the_journal() {
    let mut system = system().start();
    system.operate(&["launch", "--delay", "1h", "awaken"]);
    for daemon in ["manager", "broker"] {
        system.signal(daemon, rustix::process::Signal::TERM);
        system.wait_for_end(daemon);
    }
    let (code, text) = system.operation(&["status"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("   DOWN   0/2 daemons"), "{text}");
    let broker = line(&text, "✖ DAEMON  broker   it is not running: nothing listens on localhost port ");
    assert!(!broker.ends_with(' '), "{text}");
    assert_eq!(below(&text, "✖ DAEMON  broker"), "           → nowcast broker nowcast.yaml");
    let manager = "✖ DAEMON  manager  it is not running: nothing is decided or launched";
    assert_eq!(below(&text, manager), "           → nowcast manager nowcast.yaml");
    assert!(line(&text, "◔ PENDING  #").contains("  awaken  due "), "{text}");
}

#[test]
fn a_daemon_that_is_there_and_does_not_answer_is_named() {
    let system = system().start();
    for daemon in ["manager", "broker"] {
        system.signal(daemon, rustix::process::Signal::STOP);
        let (code, text) = system.operation(&["status"]);
        system.signal(daemon, rustix::process::Signal::CONT);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("   DEGRADED   1/2 daemons"), "{text}");
        assert!(
            line(&text, &format!("✖ DAEMON  {daemon}  ")).contains("it did not respond for 2 s"),
            "{text}"
        );
    }
    assert!(system.operate(&["status"]).contains("   HEALTHY   "));
}

#[test]
fn a_manager_without_its_socket_is_not_down_and_makes_a_new_one() {
    let system = system().start();
    let socket = system.path("checklist.journal/control");
    system.signal("manager", rustix::process::Signal::STOP);
    std::fs::remove_file(&socket).expect("the socket");
    let (code, text) = system.operation(&["status"]);
    assert!(code == Some(1) && text.contains("   DEGRADED   1/2 daemons"), "{text}");
    let expected = format!("the manager (process {}) has the journal", system.id("manager"));
    assert!(text.contains(&expected), "{text}");
    let (code, text) = system.operation(&["launch", "awaken"]);
    assert!(code == Some(1) && text.contains(&expected) && text.contains("socket is missing"), "{text}");
    system.signal("manager", rustix::process::Signal::CONT);
    system.wait_for_log("manager", "WARNING [manager] the control socket was removed and is made again");
    system.operate(&["launch", "awaken"]);
}

#[test]
fn a_run_with_a_requested_stop_is_stopping() {
    let system = system()
        .worker("deaf: {success: it went well, crash: it crashed}")
        .section("workers: {deaf: {command: [sh, -c, 'trap \"\" TERM; touch ready; while [ -e ready ]; do sleep 0.05; done']}}")
        .start();
    system.operate(&["launch", "deaf"]);
    system.wait_for("the worker", || system.path("ready").exists().then_some(()));
    let runs = || -> Value { serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON") };
    system.operate(&["kill", &runs()[0]["number"].to_string()]);
    assert_eq!(runs()[0]["state"], "stopping");
    let (_, text) = system.operation(&["status"]);
    assert!(
        line(&text, "◼ stopping  #").contains("  deaf  localhost  0:0") && text.contains("killed by "),
        "{text}"
    );
    std::fs::remove_file(system.path("ready")).expect("removed");
}

#[test]
fn only_retries_and_reruns_are_called_retries() {
    let system = system()
        .worker("bad: {success: it went well, crash: it crashed}")
        .section("workers: {bad: {command: ['false']}}")
        .rules("function after_bad() return {} end")
        .start();
    system.operate(&["launch", "bad"]);
    let failed = system.wait_for("its failure", || {
        let runs: Value =
            serde_json::from_str(&system.operate(&["runs", "--failed", "--json"])).expect("JSON");
        runs[0]["number"].as_u64().filter(|_| attention(&system) == ["failed"])
    });
    let launched = |arguments: &[&str]| {
        let answer = system.operate(arguments);
        serde_json::from_str::<Value>(&answer).expect("JSON")["numbers"][0].to_string()
    };
    system.operate(&["hold", "--all"]);
    launched(&["launch", "--json", "bad"]);
    let text = system.operation(&["status"]).1;
    assert!(!line(&text, "✖ FAILED  #").contains("retried"), "{text}");
    let again = launched(&["rerun", "--json", &failed.to_string()]);
    let text = system.operation(&["status"]).1;
    assert!(line(&text, "✖ FAILED  #").contains(&format!("retried as #{again}")), "{text}");
}

#[test]
fn before_the_first_manager_it_is_down_and_no_error() {
    let system = system().prepare();
    let (code, text) = system.operation(&["status"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("   DOWN   0/2 daemons"), "{text}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_status_2() {
    let system = system().section("workers: {awaken: {max runing: 1}}").prepare();
    let (code, text) = system.operation(&["status"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("max runing"), "{text}");
}

#[test]
fn runs_are_shown_with_arguments_and_usual_duration() {
    let system = system().start();
    system.operate(&["launch", "awaken"]);
    system.wait_for("the first run's report", || {
        (system.operate(&["runs", "--worker", "awaken"]).contains("succeeded")).then_some(())
    });
    system.operate(&["launch", "sleep", "--sleep-time", "1000"]);
    system.wait_for_log("manager", "launching NextWorker(module='sleep'");
    let text = system.operate(&["status"]);
    assert!(line(&text, "▶ running  #").contains("  sleep --sleep-time 1000  localhost  0:0"), "{text}");
    let running = &status(&system)["running"];
    assert_eq!(running[0]["args"], serde_json::json!(["--sleep-time", "1000"]));
    assert_eq!(running[0]["state"], "running");
    let number = running[0]["number"].to_string();
    system.operate(&["kill", &number]);
}

#[test]
fn a_failed_run_needs_attention_until_one_like_it_goes_well() {
    let system = system()
        .section("workers: {sleep: {command: [sh, -c, 'test -e ok']}, awaken: {command: ['false']}}")
        .start();
    // A worker that is told to report nothing is over at its end.
    system.operate(&["launch", "sleep", "--debug"]);
    system.wait_for("the failure", || (attention(&system) == ["failed"]).then_some(()));
    let (code, text) = system.operation(&["status"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("   DEGRADED   "), "{text}");
    let failed = line(&text, "✖ FAILED  #");
    assert!(failed.contains("sleep --debug"), "{text}");
    assert!(failed.contains("exited with status 1 after 0:0"), "{text}");
    assert!(below(&text, "✖ FAILED").starts_with("           → nowcast why "), "{text}");
    std::fs::write(system.path("ok"), "").expect("a file");
    let run = status(&system)["attention"][0]["number"].to_string();
    system.operate(&["launch", "sleep", "--debug", "other"]);
    system.wait_for("another run", || {
        system.operate(&["runs", "--worker", "sleep"]).contains("succeeded").then_some(())
    });
    assert_eq!(attention(&system), ["failed"], "other arguments make nothing good");
    system.operate(&["rerun", &run]);
    system.wait_for("the success", || attention(&system).is_empty().then_some(()));
    assert_eq!(system.operation(&["status"]).0, Some(0));
}

#[test]
fn acknowledged_failures_degrade_the_system_no_longer_and_later_ones_do() {
    let mut system = system()
        .section("workers: {sleep: {command: [sh, -c, 'test -e ok']}, awaken: {command: ['false']}}")
        .start();
    let item = |index: usize| status(&system)["attention"][index].clone();
    let fails = |worker: &str, failures: usize| {
        system.operate(&["launch", worker, "--debug"]);
        system.wait_for("the failures", || {
            let items = status(&system)["attention"].as_array().expect("a list").clone();
            let numbers = items.iter().filter_map(|item| item["numbers"].as_array()).map(Vec::len);
            (numbers.sum::<usize>() == failures).then_some(())
        });
    };
    fails("sleep", 1);
    fails("sleep", 2);
    fails("awaken", 3);
    assert_eq!(item(1)["numbers"].as_array().map(Vec::len), Some(2), "{}", item(1));
    // The earlier one of the group stands for both.
    let earlier = item(1)["numbers"][1].to_string();
    system.operate(&["ack", &earlier, "--reason", "the disk is replaced at noon"]);
    assert_eq!(item(0)["acknowledged"], Value::Null);
    assert_eq!(item(1)["acknowledged"]["reason"], "the disk is replaced at noon");
    let (code, text) = system.operation(&["status"]);
    assert!(code == Some(1) && text.contains("   DEGRADED   ") && text.contains("   1 attention"), "{text}");
    let answer = system.operate(&["ack", "--all"]);
    assert!(answer.starts_with("failed run #"), "only awaken's was left: {answer}");
    let (code, text) = system.operation(&["status"]);
    assert!(code == Some(0) && text.contains("   HEALTHY   ") && !text.contains("attention"), "{text}");
    assert!(text.contains("; acknowledged by ") && text.contains(": the disk is replaced at noon"), "{text}");
    let why = system.operate(&["why", &earlier]);
    assert!(why.contains("acknowledged by ") && why.contains(": the disk is replaced at noon"), "{why}");

    fails("sleep", 4);
    assert_eq!(item(0)["numbers"].as_array().map(Vec::len), Some(1), "{}", item(0));
    assert_eq!(item(0)["acknowledged"], Value::Null, "a later failure is another one");
    assert_eq!(system.operation(&["status"]).0, Some(1));
    let latest = item(0)["number"].to_string();
    // What is acknowledged survives the manager, and a success clears all of it.
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    system.operate(&["ack", &latest]);
    assert_eq!(system.operation(&["status"]).0, Some(0));
    std::fs::write(system.path("ok"), "").expect("a file");
    system.operate(&["rerun", &latest]);
    system.wait_for("the success", || (attention(&system) == ["failed"]).then_some(()));
    assert_eq!(status(&system)["attention"][0]["subject"], "awaken --debug");
    let (code, text) = system.operation(&["ack", &latest]);
    assert!(code == Some(1) && text.contains("needs no acknowledgement"), "{text}");
}

#[test]
fn parked_soon_overdue_and_refused_items_need_attention() {
    let system = system()
        .worker("ssh: {success: yes, crash: no}")
        .worker("rivers: {success: yes, crash: no}")
        .rules(
            "function after_sleep() error('not yet') end
             function after_keyless() return {}, Join{ name = 'forcing', wait_for = { 'ssh' }, launch = { NextWorker('awaken') }, timeout = '10m' } end
             function after_rivers() return {}, { 'ssh', 'rivers' } end",
        )
        .start();
    system.send("sleep", "success", "null");
    system.send("keyless", "success", "null");
    system.send("rivers", "success", "null");
    // The join that no rule of the message after this would count in.
    let text = system.operation(&["status"]).1;
    assert_eq!(attention(&system), ["message", "join"], "{text}");
    assert!(line(&text, "⚑ MESSAGE  #").contains("  sleep (success)  "), "{text}");
    assert!(line(&text, "⚑ MESSAGE  #").contains("  rule failed: next_workers.lua:"), "{text}");
    assert!(below(&text, "⚑ MESSAGE").starts_with("           → nowcast retry "), "{text}");
    assert!(line(&text, "⋈ JOIN     #").contains("  forcing          "), "{text}");
    assert!(line(&text, "⋈ JOIN     #").contains("  needs ssh, 1 launch waits; overdue at "), "{text}");
    let message = &status(&system)["attention"][0];
    assert_eq!(message["reason"], "rule failed: next_workers.lua:6: not yet");
    assert!(message["detail"].as_str().is_some_and(|detail| detail.contains("stack traceback")), "{message}");
    let number = &message["number"];
    assert_eq!(message["try"][0]["command"], format!("nowcast retry {number}"));
    assert_eq!(message["acknowledged"], Value::Null);
    let quiet = status(&system)["joins"].clone();
    assert_eq!(quiet[0]["name"], "rivers", "{quiet}");
    assert_eq!(quiet[0]["requires"][0]["worker"], "ssh", "{quiet}");
    // Opened again, the first one is parked.
    system.send("keyless", "success", "null");
    let text = system.operation(&["status"]).1;
    assert!(below(&text, "⚑ LAUNCHES  #").contains("→ nowcast release "), "{text}");
    system.write_rules("function after_sleep( end");
    system.send("rivers", "success", "null");
    let text = system.operation(&["status"]).1;
    assert!(line(&text, "✖ RULES     #").contains("next_workers.lua"), "{text}");
    assert!(below(&text, "✖ RULES").contains("→ nowcast rules check"), "{text}");
    assert!(attention(&system).contains(&"rules".to_owned()));
}

#[test]
fn holds_and_their_pending_launches_are_shown() {
    let system = system().start();
    system.operate(&["hold", "--worker", "awaken", "--until", "3h", "--reason", "maintenance"]);
    system.operate(&["launch", "awaken"]);
    system.operate(&["launch", "--delay", "1h", "sleep"]);
    let text = system.operate(&["status"]);
    let hold = line(&text, "⏸ HOLD     #");
    assert!(hold.contains("  worker awaken  until ") && hold.ends_with("(maintenance)"), "{text}");
    assert!(below(&text, "⏸ HOLD").starts_with("           → nowcast release "), "{text}");
    let pending: Vec<&str> = text.lines().filter(|line| line.starts_with("◔ PENDING  #")).collect();
    assert!(pending[0].contains("  awaken         blocked by hold #"), "{text}");
    assert!(pending[1].contains("  sleep          due "), "{text}");
}

#[test]
fn watching_shows_it_again_and_again() {
    let mut system = system().start();
    let command: Command = system.command(&["status", "-w"]);
    system.spawn("watch", command);
    system.wait_for_log_count("watch", "HEALTHY   2/2 daemons", 2);
    system.signal("watch", rustix::process::Signal::INT);
    system.wait_for_end("watch");
}
