//! The README's first command: the toy nowcast system.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use crate::support::system::{System, free_ports, system};

/// A copy of the repository's configuration and rules with ports of its own.
fn repository_system() -> System {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("a file of the repository");
    let system = system().only_rules(&read("rules/next_workers.lua")).prepare();
    let (manager, workers) = free_ports();
    let config = read("nowcast.yaml")
        .replace("manager: 4343", &format!("manager: {manager}"))
        .replace("workers: 4344", &format!("workers: {workers}"));
    std::fs::write(system.config(), config).expect("written");
    system
}

#[test]
fn sleep_leads_to_awaken_and_rotate_logs_and_then_it_ends() {
    let system = repository_system();
    let output = system
        .command(&["up", "--launch", "sleep --sleep-time 1", "--exit-when-idle"])
        .stderr(Stdio::inherit())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "INFO [message_broker] worker socket bound to port ",
        "INFO [message_broker] manager socket bound to port ",
        "INFO [manager] next workers module loaded from next_workers",
        "INFO [manager] connected to localhost port ",
        "WARNING [manager] running with empty checklist",
        "INFO [sleep] slept for 1 seconds",
        "DEBUG [sleep] sent message: (success) sleep worker slept well",
        "DEBUG [manager] received message from sleep: (success) sleep worker slept well",
        "INFO [manager] checklist updated with [sleepyhead] items from sleep worker",
        "DEBUG [sleep] received message from manager: (ack) message acknowledged",
        "INFO [awaken] awoke",
        "INFO [rotate_logs] log files rotated",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(output.status.code(), Some(0), "{text}");
    let logs = system.path("logs");
    for file in ["nowcast.log", "nowcast.log.1", "nowcast.debug.log.1", "nowcast_checklist.yaml"] {
        assert!(logs.join(file).is_file(), "{file}\n{text}");
    }
}

#[test]
fn it_ends_with_status_1_when_something_crashed() {
    let system = repository_system();
    system.write_rules("function after_sleep() return { NextWorker('awaken', { '--no-such-option' }) } end");
    let output = system
        .command(&["up", "--launch", "sleep --sleep-time 0", "--exit-when-idle"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("ERROR [manager] awaken (run #2) ended with status 2"), "{text}");
}

#[test]
fn daemons_that_are_killed_are_started_again() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "listening...");
    for (name, ready) in [("message_broker", "manager socket bound"), ("manager", "listening...")] {
        let line = format!("INFO [{name}] running in process ");
        let log = system.log("up");
        let (_, after) = log.split_once(&line).expect("its process");
        let number: u32 = after.lines().next().and_then(|number| number.parse().ok()).expect("a number");
        rustix::process::kill_process(crate::support::system::pid(number), Signal::KILL).expect("killed");
        system.wait_for_log("up", &format!("{name} was killed by signal 9; started again in"));
        system.wait_for_log_count("up", ready, 2);
    }
    system.signal("up", Signal::TERM);
    assert_eq!(system.wait_for_end("up").code(), Some(0));
    assert!(system.log("up").matches("termination signal (SIGTERM) received").count() >= 3);
}

#[test]
fn daemons_end_when_up_is_killed() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "manager socket bound");
    system.wait_for_log("up", "listening...");
    system.signal("up", Signal::KILL);
    system.wait_for_end("up");
    system.wait_for_log_count("up", "termination signal (SIGTERM) received; shutting down", 2);
}

#[test]
fn a_port_in_use_is_said_and_is_the_end() {
    let system = repository_system();
    let config = std::fs::read_to_string(system.config()).expect("the configuration");
    let port: u16 = config
        .lines()
        .find_map(|line| line.trim().strip_prefix("workers: ")?.parse().ok())
        .expect("the port");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a listener");
    let output = system.command(&["up"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("cannot bind tcp://127.0.0.1:{port}")), "{text}");
    assert_eq!(output.status.code(), Some(2), "{text}");
}

#[test]
fn a_failing_rule_makes_the_status_1_and_several_workers_may_be_launched() {
    let system = repository_system();
    system.write_rules("function after_sleep() error('not today') end function after_awaken() return {} end");
    let output = system
        .command(&["up", "--launch", "sleep --sleep-time 0", "--launch", "awaken", "--exit-when-idle"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("not today") && text.contains("INFO [awaken] awoke"), "{text}");
    assert_eq!(output.status.code(), Some(1), "{text}");
}

#[test]
fn up_passes_a_hangup_on_and_ends_at_an_interrupt() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "manager socket bound");
    system.wait_for_log("up", "listening...");
    system.signal("up", Signal::HUP);
    system.wait_for_log_count("up", "hangup signal (SIGHUP) received; reloading configuration", 2);
    system.wait_for_log_count("up", "next workers module loaded", 2);
    system.signal("up", Signal::INT);
    assert_eq!(system.wait_for_end("up").code(), Some(0), "{}", system.describe());
}
