//! Limits on cycles: `max cycles` of a worker, `max active` of the system, holds of a cycle, and when a cycle is done.

use nowcast_core::cycles::CycleMark;
use nowcast_core::hold::HoldTarget;
use nowcast_core::{Cycle, Ending, Event, Number};

use crate::decisions::story::{Story, config, cycle, in_cycle, of_cycle, quiet, worker};

const TWO: &str = "{rivers: {max cycles: 2}}\ncycles: {done: [{worker: ssh}]}";

/// What blocks a run.
fn blocked_by(manager: &Story, run: Number) -> Option<String> {
    manager.state.blocked_by(&manager.state.runs[&run])
}

/// The cycles of the running runs of a worker.
fn running(manager: &Story, name: &str) -> Vec<String> {
    let running = manager.state.runs.running().filter(|run| run.worker.name() == name);
    running.map(|run| run.cycle.as_ref().map_or_else(String::new, Cycle::to_string)).collect()
}

fn is_done(manager: &Story, label: &str) -> bool {
    let mark = manager.state.cycles.get(&cycle(label)).and_then(|kept| kept.mark.as_ref());
    matches!(mark, Some(CycleMark::Done { .. }))
}

#[test]
fn a_worker_runs_in_so_many_cycles_until_they_are_done() {
    let mut manager = quiet(TWO);
    let runs = ["a", "b", "c", "d"].map(|label| manager.wants(in_cycle("rivers", label)));
    assert_eq!(running(&manager, "rivers"), ["a", "b"]);
    assert_eq!(blocked_by(&manager, runs[2]).as_deref(), Some("`max cycles: 2` of rivers (cycles a, b)"));

    // The end of a run does not free the slot, and another run of the same cycle needs none.
    manager.hears_of(runs[0], "rivers", "success");
    manager.ends(runs[0], Ending::Status(0));
    assert_eq!(running(&manager, "rivers"), ["b"]);
    let again = manager.wants(in_cycle("rivers", "a"));
    assert_eq!(running(&manager, "rivers"), ["b", "a"]);
    manager.hears_of(again, "rivers", "success");

    // Other workers and runs without a cycle are not limited.
    manager.wants(in_cycle("weather", "c"));
    manager.wants(worker("rivers"));
    assert_eq!(running(&manager, "weather"), ["c"]);
    assert_eq!(running(&manager, "rivers"), ["b", "a", ""]);

    let heard = manager.hears_message(of_cycle("ssh", "success", "a"));
    assert!(heard.says("INFO", "cycle a is done"), "{heard:#?}");
    assert!(is_done(&manager, "a"));
    assert_eq!(heard.runs, [runs[2]], "the earlier one first");
    assert_eq!(blocked_by(&manager, runs[3]).as_deref(), Some("`max cycles: 2` of rivers (cycles b, c)"));
}

#[test]
fn a_cycle_is_done_when_all_messages_have_come_and_stays_done() {
    let mut manager = quiet("{}\ncycles: {done: [{worker: ssh}, {worker: feeds, type: halfway}]}");
    manager.hears_message(of_cycle("ssh", "success", "a"));
    manager.hears_message(of_cycle("feeds", "success", "a"));
    manager.hears_message(of_cycle("feeds", "halfway", "b"));
    assert!(!is_done(&manager, "a"));
    let heard = manager.hears_message(of_cycle("feeds", "halfway", "a"));
    assert!(is_done(&manager, "a") && heard.says("INFO", "cycle a is done"));
    let heard = manager.hears_message(of_cycle("ssh", "crash", "a"));
    assert!(is_done(&manager, "a"), "a later failure does not take it back");
    assert!(!heard.says("INFO", "is done"), "and it is said once");
}

#[test]
fn launches_in_a_cycle_that_is_done_need_no_slot() {
    let mut manager = quiet(TWO);
    for label in ["a", "b"] {
        manager.wants(in_cycle("rivers", label));
    }
    manager.hears_message(of_cycle("ssh", "success", "c"));
    manager.wants(in_cycle("rivers", "c"));
    assert_eq!(running(&manager, "rivers"), ["a", "b", "c"]);
}

#[test]
fn the_system_has_so_many_active_cycles() {
    let mut manager = quiet("{rivers: {max cycles: 5}}\ncycles: {max active: 2, done: [{worker: ssh}]}");
    manager.wants(in_cycle("weather", "a"));
    manager.wants(in_cycle("weather", "b"));
    let third = manager.wants(in_cycle("rivers", "c"));
    let second = manager.wants(in_cycle("rivers", "b"));
    assert_eq!(running(&manager, "rivers"), ["b"], "{second} is of an active cycle, though it came later");
    assert_eq!(blocked_by(&manager, third).as_deref(), Some("`cycles: max active: 2` (cycles a, b)"));
    let heard = manager.hears_message(of_cycle("ssh", "success", "a"));
    assert_eq!(heard.runs, [third]);
}

#[test]
fn a_retry_keeps_the_slot_of_its_cycle() {
    let mut manager =
        quiet("{rivers: {max cycles: 1, retries: 1, retry delay: 60s}}\ncycles: {done: [{worker: ssh}]}");
    let run = manager.wants(in_cycle("rivers", "a"));
    let other = manager.wants(in_cycle("rivers", "b"));
    manager.hears_of(run, "rivers", "failure");
    manager.ends(run, Ending::Status(1));
    assert_eq!(running(&manager, "rivers"), Vec::<String>::new());
    assert!(blocked_by(&manager, other).is_some());
    manager.passes(60);
    assert_eq!(running(&manager, "rivers"), ["a"]);
}

#[test]
fn a_hold_of_a_cycle_leaves_the_others_alone() {
    let mut manager = quiet("{}");
    let hold = manager.holds(HoldTarget::Cycle(cycle("a")));
    let held = manager.wants(in_cycle("rivers", "a"));
    manager.wants(in_cycle("rivers", "b"));
    manager.wants(worker("rivers"));
    assert_eq!(running(&manager, "rivers"), ["b", ""]);
    assert_eq!(blocked_by(&manager, held), Some(format!("hold {hold} of cycle a")));
    let (answer, heard) = manager.asks(nowcast_core::Command::Release { number: hold });
    assert!(answer.text.contains("of cycle a has ended"), "{answer:?}");
    assert_eq!(heard.runs, [held]);
}

#[test]
fn of_a_hindcast_the_earliest_cycles_run_first_and_all_come_to_an_end() {
    let mut manager = quiet("{rivers: {max cycles: 3}}\ncycles: {done: [{worker: rivers}]}");
    let labels: Vec<String> = (1..=30).map(|day| format!("2026-01-{day:02}")).collect();
    for label in &labels {
        manager.wants(in_cycle("rivers", label));
    }
    let mut done = Vec::new();
    loop {
        let Some(run) = manager.state.runs.running().next().cloned() else { break };
        assert!(running(&manager, "rivers").len() <= 3);
        manager.hears_of(run.id, "rivers", "success");
        manager.ends(run.id, Ending::Status(0));
        done.extend(run.cycle.map(|cycle| cycle.to_string()));
    }
    assert_eq!(done, labels);
}

#[test]
fn cycles_are_compared_with_a_configuration_that_is_loaded_later() {
    let mut manager = quiet("{}");
    for label in ["a", "b"] {
        manager.wants(in_cycle("rivers", label));
        manager.hears_message(of_cycle("ssh", "success", label));
    }
    let policy = config("{rivers: {max cycles: 1}}\ncycles: {done: [{worker: ssh}]}");
    let heard = manager.happens(Event::Reloaded { policy });
    assert!(heard.says("INFO", "cycle a is done") && heard.says("INFO", "cycle b is done"), "{heard:#?}");
    manager.wants(in_cycle("rivers", "c"));
    assert_eq!(running(&manager, "rivers"), ["a", "b", "c"]);
}

#[test]
fn a_cycle_that_waits_for_a_slot_does_not_keep_another_from_running() {
    let mut manager = quiet("{rivers: {max running: 3, max cycles: 1}}\ncycles: {done: [{worker: ssh}]}");
    let hold = manager.holds(HoldTarget::All);
    for label in ["a", "b", "c", "a"] {
        manager.wants(in_cycle("rivers", label));
    }
    manager.asks(nowcast_core::Command::Release { number: hold });
    assert_eq!(running(&manager, "rivers"), ["a", "a"]);
}
