//! What daemons and workers publish, as a real pyzmq SUB reads it.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::distributed::scene::{
    Subscriber, console_lines, distributed, frames_of_pubhandler, write_logging,
};
use crate::support::ports::free_ports;

#[test]
fn a_daemon_publishes_the_frames_that_pyzmqs_handler_makes() {
    let (mut system, ports) = distributed("", 1);
    let mut subscriber = Subscriber::connect(&[ports.broker]);
    system.start_broker();
    system.signal("broker", Signal::HUP);
    system.wait_for_log_count("broker", "worker socket bound", 1);
    system.wait_for_log_count("broker", "publishing logging messages", 2);
    system.signal("broker", Signal::TERM);
    let published = subscriber.until("termination signal (SIGTERM) received; shutting down");
    system.wait_for_end("broker");
    let console = system.log("broker");
    let start =
        format!("INFO [message_broker] publishing logging messages to tcp://127.0.0.1:{}\n", ports.broker);
    assert_eq!(console.matches(&start).count(), 2, "once more after the hangup: {console}");
    let lines = console_lines(&console, "message_broker");
    assert_eq!(published, frames_of_pubhandler("message_broker", &lines), "{console}");
    assert_eq!(published[0][0], "message_broker.INFO");
}

#[test]
fn a_new_port_is_bound_and_the_old_one_is_released() {
    let (mut system, ports) = distributed("", 1);
    system.start_broker();
    let mut subscriber = Subscriber::connect(&[ports.broker]);
    subscriber.until("manager socket bound");
    let mut moved = ports.clone();
    moved.broker = free_ports().0;
    write_logging(&system, &moved, &format!("{:?}", moved.pool), "");
    let mut new_subscriber = Subscriber::connect(&[moved.broker]);
    system.signal("broker", Signal::HUP);
    // The old port has the lines before the change, the new one all later lines.
    subscriber.until("hangup signal (SIGHUP) received; reloading configuration");
    let published = new_subscriber.until("publishing logging messages");
    assert_eq!(
        published[0],
        ["message_broker.INFO", &format!("running in process {}\n", system.id("broker"))]
    );
    system.wait_for("the old port", || TcpListener::bind(("127.0.0.1", ports.broker)).ok());
}

#[test]
fn a_worker_publishes_all_its_lines_even_if_it_is_short() {
    let (mut system, ports) = distributed("", 2);
    system.start_broker();
    system.start_manager(&[]);
    let mut subscriber = Subscriber::connect(&ports.pool);
    let console = system.wait_for("a worker whose lines are taken", || {
        let console = system.run_worker(&["sleep", "nowcast.yaml", "--sleep-time", "0"]);
        // A machine that is very busy may not connect within a second.
        (!console.contains("no subscriber has received")).then_some(console)
    });
    let published = subscriber.until("shutting down");
    let lines = console_lines(&console, "sleep");
    assert_eq!(lines[0].1.split(' ').next(), Some("running"), "{console}");
    assert_eq!(lines[2].1, format!("publishing log messages to tcp://127.0.0.1:{}", ports.pool[0]));
    assert_eq!(published, frames_of_pubhandler("sleep", &lines), "{console}");
}

#[test]
fn debug_publishes_nothing_and_binds_no_port() {
    let (system, ports) = distributed("", 1);
    let _taken = TcpListener::bind(("127.0.0.1", ports.pool[0])).expect("the port");
    let console = system.run_worker(&["sleep", "nowcast.yaml", "--debug", "--sleep-time", "0"]);
    assert!(console.contains("INFO [sleep] slept for 0 seconds"), "{console}");
    assert!(!console.contains("publish") && !console.contains("ports for"), "{console}");
}

#[test]
fn workers_share_the_pool_and_a_worker_without_a_port_works_and_waits_for_one() {
    let (mut system, ports) = distributed("", 2);
    system.start_broker();
    system.start_manager(&[]);
    // Each one works, and has a port, until it is stopped.
    for name in ["one", "two", "three"] {
        let command = system.command(&["exec", "keyless", "nowcast.yaml", "--", "sleep", "1000"]);
        system.spawn(name, command);
        let line = if name == "three" {
            format!(
                "WARNING [keyless] none of the ports for the log messages of keyless is free (tcp://127.0.0.1:{}, \
                 tcp://127.0.0.1:{}): Address already in use; they wait for a port, and \
                 are shown on stderr if none becomes free (zmq: ports: logging)",
                ports.pool[0], ports.pool[1]
            )
        } else {
            format!(
                "INFO [keyless] publishing log messages to tcp://127.0.0.1:{}",
                ports.pool[usize::from(name == "two")]
            )
        };
        system.wait_for_log(name, &line);
        system.wait_for_log(name, "INFO [keyless] connected to localhost port");
    }
    let mut subscriber = Subscriber::connect(&ports.pool[..1]);
    system.signal("one", Signal::TERM);
    subscriber.until("termination signal (SIGTERM) received; shutting down");
    system.wait_for_end("one");
    // Its port is free now.
    let mut published =
        subscriber.until(&format!("publishing log messages to tcp://127.0.0.1:{}", ports.pool[0]));
    system.signal("three", Signal::TERM);
    published.extend(subscriber.until("termination signal (SIGTERM) received; shutting down"));
    system.wait_for_end("three");
    let lines = console_lines(&system.log("three"), "keyless");
    assert_eq!(published, frames_of_pubhandler("keyless", &lines), "{}", system.log("three"));
}

#[test]
fn lines_without_a_subscriber_are_shown_on_stderr() {
    let (mut system, ports) = distributed("", 1);
    system.start_broker();
    system.start_manager(&[]);
    let listener = TcpListener::bind(("127.0.0.1", ports.pool[0])).expect("the port");
    let run = |arguments: &[&str]| {
        let output = system.command(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0));
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let worker = ["worker", "sleep", "nowcast.yaml", "--sleep-time", "0"];
    let (stdout, stderr) = run(&worker);
    let why = format!("nowcast: none of the ports for log lines is free: tcp://127.0.0.1:{}", ports.pool[0]);
    let (before, shown) = stderr.split_once("They are shown here:\n").expect("the lines");
    assert!(before.starts_with(&why), "{stderr}");
    assert_eq!(shown, stdout);
    assert!(shown.contains("DEBUG [sleep] received message from manager: (ack)"), "{stderr}");

    drop(listener);
    let (stdout, stderr) = run(&worker);
    let (before, shown) = stderr.split_once("They are shown here:\n").expect("the lines");
    assert!(
        before.contains(&format!(
            "no subscriber has received log lines from tcp://127.0.0.1:{}",
            ports.pool[0]
        )),
        "{stderr}"
    );
    assert_eq!(shown, stdout);
}
