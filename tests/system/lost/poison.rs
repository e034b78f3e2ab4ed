//! A message whose rule ends the manager.
#![cfg(feature = "failpoints")]

use std::os::unix::process::ExitStatusExt;

use nowcast::store::History;

use crate::lost::failpoints::start_failing_manager;
use crate::support::system::{System, system};

const IN_A_RULE: &str = "manager: in a rule=return";

/// So many managers end within a rule.
fn managers_die(system: &mut System, count: usize) {
    for number in 0..count {
        start_failing_manager(system, IN_A_RULE);
        let status = system.wait_for_end("manager");
        assert_eq!(status.signal(), Some(9), "manager {number}: {}", system.describe());
    }
}

/// The numbers of the parked messages.
fn parked(system: &System) -> Vec<u64> {
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    history.open_now().expect("what is open").parked.iter().map(|parked| parked.id.0).collect()
}

fn expect_parked(system: &System, count: usize) {
    let alarm = "the manager ended twice while this rule was called, so it is not called again automatically";
    system.wait_for_log_count("manager", alarm, count);
    assert!(system.log("manager").contains("CRITICAL [manager] the rule for this message failed"));
    assert_eq!(parked(system).len(), count, "{}", system.describe());
}

/// Decides them again; each one's rule is called.
fn retry_each(system: &System) {
    for number in parked(system) {
        let text = system.operate(&["retry", &number.to_string()]);
        assert!(text.contains("is decided"), "{text}");
    }
    assert_eq!(parked(system), Vec::<u64>::new());
}

#[test]
fn one_that_ends_two_managers_is_parked_and_can_be_decided_again() {
    let mut system = system()
        .rules("function after_sleep(msg) log.info('the rule heard ' .. msg.payload.day) return {} end")
        .prepare();
    system.start_broker();
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: {day: 12}}", 0).expect("sent");
    managers_die(&mut system, 2);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    expect_parked(&system, 1);
    assert!(!system.log("manager").contains("the rule heard 12"));
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    system.wait_for_log("manager", "the rule heard 13");
    retry_each(&system);
    system.wait_for_log("manager", "the rule heard 12");
}

#[test]
fn one_that_ends_one_manager_is_decided_by_the_next() {
    let mut system = system().prepare();
    system.start_broker();
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: {day: 12}}", 0).expect("sent");
    for _ in 0..2 {
        managers_die(&mut system, 1);
        system.start_manager(&[]);
        assert_eq!(system.receive(&worker).r#type, "ack");
        assert_eq!(parked(&system), Vec::<u64>::new());
        system.signal("manager", rustix::process::Signal::TERM);
        system.wait_for_end("manager");
        worker.send("{source: sleep, type: success, payload: {day: 13}}", 0).expect("sent");
    }
}

#[test]
fn several_that_come_together_are_all_parked() {
    let mut system = system().prepare();
    system.start_broker();
    let workers: Vec<_> = ["sleep", "awaken", "rotate_logs"]
        .iter()
        .map(|source| {
            let worker = system.connect();
            worker
                .send(format!("{{source: {source}, type: success, payload: null}}").as_str(), 0)
                .expect("sent");
            worker
        })
        .collect();
    managers_die(&mut system, 2 * workers.len());
    system.start_manager(&[]);
    for worker in &workers {
        assert_eq!(system.receive(worker).r#type, "ack");
    }
    expect_parked(&system, workers.len());
    system.works();
    retry_each(&system);
}

#[test]
fn the_crash_that_is_made_for_a_run_is_parked_too() {
    let mut system = system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section("workers: {tick: {command: ['false']}}")
        .rules(
            "function after_keyless() return { NextWorker('tick') } end
             function after_tick(msg) log.info('the rule heard ' .. msg.type) return {} end",
        )
        .start();
    system.works();
    system.wait_for_log("manager", "launching");
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    managers_die(&mut system, 2);
    system.start_manager(&[]);
    expect_parked(&system, 1);
    assert!(!system.log("manager").contains("the rule heard"));
    retry_each(&system);
    system.wait_for_log("manager", "the rule heard crash");
}

#[test]
fn a_rule_that_does_not_come_back_ends_the_manager() {
    let mut system = system().prepare();
    system.start_broker();
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: {day: 12}}", 0).expect("sent");
    start_failing_manager(&mut system, "manager: in a rule=sleep(600000)");
    let status = system.wait_for_end("manager");
    assert_eq!(status.signal(), Some(9), "{}", system.describe());
    assert!(system.log("manager").contains("CRITICAL [manager] a rule has not returned for"));
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    assert_eq!(parked(&system), Vec::<u64>::new());
}
