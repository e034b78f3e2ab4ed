//! Delays, times, time limits, retries and limits: durable, on one way to a runner.

use rustix::process::Signal;

use crate::support::system::system;

const NOTHING: &str = "function after_awaken(msg) log.info('the rule heard ' .. msg.type) return {} end";

#[test]
fn a_delayed_launch_waits_and_survives_the_manager() {
    let mut system = system().rules(NOTHING).start();
    assert!(system.operate(&["launch", "--delay", "2s", "awaken"]).contains("is launched as run #"));
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    assert!(!system.log("manager").contains("launching NextWorker"), "{}", system.describe());
    system.start_manager(&[]);
    system.wait_for_log("manager", "the rule heard success");
    assert_eq!(system.log("manager").matches("launching NextWorker").count(), 1);
}

#[test]
fn a_run_longer_than_its_timeout_is_ended_and_reported() {
    let system =
        system().section("workers: {awaken: {command: [sleep, '1000'], timeout: 1s}}").rules(NOTHING).start();
    system.operate(&["launch", "awaken"]);
    system.wait_for_log("manager", "runs longer than its timeout and is ended");
    system.wait_for_log("manager", "was killed by signal 15 without a report");
    system.wait_for_log("manager", "the rule heard crash");
}

#[test]
fn a_failed_run_is_tried_again_before_its_rule_is_called() {
    let system = system()
        .section("workers: {awaken: {command: ['false'], retries: 2, retry delay: 0s}}")
        .rules(NOTHING)
        .start();
    system.operate(&["launch", "awaken"]);
    system.wait_for_log("manager", "the rule heard crash");
    let log = system.log("manager");
    assert!(log.contains("failed: (crash); attempt 2 of 3 follows"), "{log}");
    assert!(log.contains("failed: (crash); attempt 3 of 3 follows"), "{log}");
    assert_eq!(log.matches("launching NextWorker").count(), 3, "{log}");
    assert_eq!(log.matches("the rule heard").count(), 1, "{log}");
}

#[test]
fn no_more_run_at_once_than_max_running_allows() {
    // Each makes a folder that only one can have at a time.
    let script = "mkdir running || touch two; echo x >> ran; sleep 0.1; rmdir running";
    let system = system()
        .section(&format!("workers: {{awaken: {{command: [sh, -c, '{script}'], max running: 1}}}}"))
        .rules(NOTHING)
        .start();
    for _ in 0..5 {
        system.operate(&["launch", "awaken"]);
    }
    system.wait_for("five runs", || {
        (std::fs::read_to_string(system.path("ran")).unwrap_or_default().lines().count() == 5).then_some(())
    });
    assert!(!system.path("two").exists(), "two ran at once\n{}", system.describe());
}
