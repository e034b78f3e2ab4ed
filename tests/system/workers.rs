//! The built-in workers on the command line.

use std::time::Duration;

use nowcast::config::Zmq;
use nowcast::worker::client::{Client, ReplyDelay};
use nowcast_core::message::Message;
use pyyaml::Value;
use rustix::process::Signal;

use crate::support::system::system;

#[test]
fn a_worker_logs_the_lines_of_nemo_nowcasts_worker() {
    let system = system().start();
    let log = system.run_worker(&["sleep", "nowcast.yaml", "--sleep-time", "0"]);
    let lines: Vec<&str> = log.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap_or(line)).collect();
    assert!(lines[0].starts_with("INFO [sleep] running in process "), "{log}");
    let port = format!("INFO [sleep] connected to localhost port {}", system.workers_port);
    assert_eq!(
        lines[1..],
        [
            "INFO [sleep] read config from nowcast.yaml",
            "INFO [sleep] writing log messages to local file system",
            &port,
            "INFO [sleep] slept for 0 seconds",
            "DEBUG [sleep] sent message: (success) sleep worker slept well",
            "DEBUG [sleep] received message from manager: (ack) message acknowledged",
            "DEBUG [sleep] shutting down",
        ]
    );
    system.wait_for_checklist("{sleepyhead: {sleep time: 0}}");
}

#[test]
fn debug_sends_nothing() {
    let system = system().prepare();
    let log = system.run_worker(&["sleep", "nowcast.yaml", "--debug", "--sleep-time", "0"]);
    for line in [
        "DEBUG [sleep] **debug mode** no connection to manager",
        "INFO [sleep] slept for 0 seconds",
        "DEBUG [sleep] **debug mode** message that would have been sent to manager: (success sleep worker slept well)",
        "DEBUG [sleep] shutting down",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    assert!(!log.contains("writing log messages"), "{log}");
}

#[test]
fn help_names_the_options_of_nemo_nowcast() {
    let help = system().prepare().run_worker(&["sleep", "--help"]);
    for option in ["CONFIG", "--debug", "--sleep-time", "--help"] {
        assert!(help.contains(option), "{help}");
    }
}

#[test]
fn a_worker_that_is_not_registered_is_an_error() {
    let system = system().prepare();
    let text = std::fs::read_to_string(system.config()).expect("the configuration");
    std::fs::write(system.config(), text.replace("    sleep: {", "    slumber: {")).expect("written");
    let log = system.run_worker(&["sleep", "nowcast.yaml", "--sleep-time", "0"]);
    assert!(log.contains("ERROR [sleep] worker not found in nowcast.yaml message registry: sleep"), "{log}");
}

#[test]
fn clear_checklist_empties_the_file_too() {
    let system = system().start();
    system.send("sleep", "success", "{sleep time: 5}");
    let log = system.run_worker(&["clear_checklist", "nowcast.yaml"]);
    assert!(
        log.contains("INFO [clear_checklist] requesting that manager clear system state checklist"),
        "{log}"
    );
    assert!(
        log.contains("received message from manager: (checklist cleared) system checklist cleared"),
        "{log}"
    );
    assert!(log.contains("received message from manager: (ack) message acknowledged"), "{log}");
    system.wait_for_checklist("{}");
}

#[test]
fn a_signal_ends_a_worker_with_status_0_and_without_a_report() {
    for (signal, line) in [
        (Signal::TERM, "INFO [sleep] termination signal (SIGTERM) received; shutting down"),
        (Signal::INT, "INFO [sleep] interrupt signal (SIGINT or Ctrl-C) received; shutting down"),
    ] {
        let mut system = system().start();
        let command = system.command(&["worker", "sleep", "nowcast.yaml", "--sleep-time", "600"]);
        system.spawn("sleep", command);
        system.wait_for_log("sleep", "connected to localhost");
        system.signal("sleep", signal);
        assert_eq!(system.wait_for_end("sleep").code(), Some(0));
        assert!(system.log("sleep").contains(line), "{}", system.log("sleep"));
        system.works();
        assert!(!system.log("manager").contains("received message from sleep"));
    }
}

#[test]
fn a_worker_that_waits_logs_it_repeatedly() {
    let mut system = system().prepare();
    system.start_broker();
    let zmq = Zmq {
        host: "localhost".into(),
        bind: None,
        manager_port: system.manager_port,
        workers_port: system.workers_port,
        curve: None,
        message_size: 64_000_000,
    };
    let mut client = Client::connect(&zmq).expect("connected");
    client.send(Message::new("sleep", "success", Value::Null)).expect("sent");
    let manager = system.context.socket(zmq::REP).expect("a socket");
    let mut rounds = Vec::new();
    let reply = client.receive(Duration::from_millis(20), &mut |delay| {
        let ReplyDelay::NoReply(round) = delay else { panic!("the connection was lost") };
        rounds.push(round);
        if round == 3 {
            manager.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("connected");
            manager.recv_bytes(0).expect("the request");
            manager.send("{source: manager, type: ack, payload: null}", 0).expect("answered");
        }
    });
    assert_eq!(reply.expect("a reply").r#type, "ack");
    assert_eq!(rounds[..3], [1, 2, 3]);
}
