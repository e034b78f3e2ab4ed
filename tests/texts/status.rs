//! `nowcast status`, as text and as JSON, in each situation.

use crate::program::assert_snapshot;
use crate::recorded::Recorded;
use crate::scenes;

#[track_caller]
fn assert_status(name: &str, mut system: Recorded) {
    system.at("12:00").with_daemons();
    assert_snapshot(&format!("status_{name}"), &system.run(&["status"]));
    assert_snapshot(&format!("status_{name}_json"), &system.run(&["status", "--json"]));
}

#[test]
fn nothing_is_wrong() {
    assert_status("fine", scenes::fine());
}

#[test]
fn runs_failed() {
    assert_status("failed_runs", scenes::failed_runs());
}

#[test]
fn failures_are_acknowledged() {
    assert_status("acknowledged_runs", scenes::acknowledged_runs());
}

#[test]
fn a_message_is_parked() {
    assert_status("parked_message", scenes::bad_messages());
}

#[test]
fn joins_are_open() {
    assert_status("open_joins", scenes::open_joins());
}

#[test]
fn a_join_is_stuck() {
    assert_status("stuck_join", scenes::stuck_join());
}

#[test]
fn launches_are_parked() {
    assert_status("parked_launches", scenes::parked_launches());
}

#[test]
fn launches_are_pending() {
    assert_status("pending_launches", scenes::pending_launches());
}

#[test]
fn a_backup_was_restored() {
    assert_status("restored", scenes::restored());
}

#[test]
fn workers_run() {
    assert_status("running", scenes::running());
}

#[test]
fn cycles_run_fail_and_wait() {
    assert_status("cycles", scenes::cycles());
    let mut system = scenes::cycles();
    system.at("12:00").with_daemons();
    assert_snapshot("status_of_a_cycle", &system.run(&["status", "--cycle", "hindcast-1"]));
}

#[test]
fn rules_are_refused() {
    assert_status("refused_rules", scenes::refused_rules());
}

#[test]
fn a_message_is_late() {
    assert_status("late", scenes::late());
}

#[test]
fn a_message_is_at_risk() {
    assert_status("at_risk", scenes::forecast(71));
}

#[test]
fn a_run_is_slow() {
    assert_status("slow", scenes::slow());
}

#[test]
fn a_message_is_expected() {
    assert_status("expected", scenes::forecast(5));
}

#[test]
fn daemons_are_down() {
    let mut system = scenes::pending_launches();
    system.at("12:00").without_manager();
    assert_snapshot("status_down", &system.run(&["status"]));
    assert_snapshot("status_down_json", &system.run(&["status", "--json"]));
}

#[test]
fn a_success_in_another_cycle_repairs_nothing() {
    let mut system = Recorded::new();
    system
        .at("09:00")
        .launches_in("2026-03-13", "make_ssh_files", &["00"])
        .finishes("make_ssh_files", "failure", "null")
        .launches_in("2026-03-14", "make_ssh_files", &["00"])
        .finishes("make_ssh_files", "success", "null")
        .at("12:00");
    let text = system.run(&["status"]);
    assert!(text.contains("FAILED"), "{text}");
    system.at("12:01").launches_in("2026-03-13", "make_ssh_files", &["00"]).finishes(
        "make_ssh_files",
        "success",
        "null",
    );
    let text = system.run(&["status"]);
    assert!(!text.contains("FAILED"), "{text}");
}
