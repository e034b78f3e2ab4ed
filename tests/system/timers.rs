//! Delays, times, timeouts, retries and limits: durable, and the same for every launch.

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
fn a_time_a_timeout_a_retry_and_the_timeout_of_a_join_survive_the_manager() {
    let mut system = system()
        .worker("late: {success: yes, crash: no}")
        .worker("weak: {success: yes, crash: no}")
        .section(
            "workers:
  late: {command: [sleep, '1000'], timeout: 3s}
  weak: {command: [sh, -c, 'echo tried >> tries; exit 1'], retries: 1, retry delay: 3s}",
        )
        .rules(
            "function after_awaken(msg) log.info('awaken: ' .. msg.type) return {} end
             function after_late(msg) log.info('late: ' .. msg.type) return {} end
             function after_weak(msg) log.info('weak: ' .. msg.type) return {} end
             function after_keyless()
               return {}, Join{ name = 'forcing', wait_for = { 'sleep' }, launch = { NextWorker('awaken') }, timeout = '3s' }
             end",
        )
        .start();
    system.operate(&["launch", "weak"]);
    system.wait_for_log("manager", "attempt 2 of 2 follows in 3s");
    system.operate(&["launch", "late"]);
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    assert!(system.operate(&["launch", "--at", "3s", "awaken"]).contains("; it is pending until "));
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    for expected in [
        "awaken: success",
        "exceeded its timeout and is stopping",
        "late: crash",
        "weak: crash",
        "join forcing is overdue: it did not receive sleep",
    ] {
        system.wait_for_log("manager", expected);
    }
    system.works();
    let log = system.log("manager");
    for once in [
        "[manager] awaken: ",
        "exceeded its timeout and is stopping",
        "[manager] late: ",
        "[manager] weak: ",
        "CRITICAL [manager] join forcing is overdue",
    ] {
        assert_eq!(log.matches(once).count(), 1, "{once}: {log}");
    }
    let tries = std::fs::read_to_string(system.path("tries")).expect("two lines");
    assert_eq!(tries.lines().count(), 2);
}

#[test]
fn a_run_longer_than_its_timeout_is_stopped_and_reported() {
    let system =
        system().section("workers: {awaken: {command: [sleep, '1000'], timeout: 1s}}").rules(NOTHING).start();
    system.operate(&["launch", "awaken"]);
    system.wait_for_log("manager", "exceeded its timeout and is stopping");
    system.wait_for_log("manager", "was killed by signal 15 without a report");
    system.wait_for_log("manager", "the rule heard crash");
}

#[test]
fn a_failed_run_is_retried_before_its_rule_is_called() {
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
    // Each run makes the same folder, so a second one at the same time would fail.
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
