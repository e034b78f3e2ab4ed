//! Who may subscribe to log messages.

use std::fs;

use rustix::process::Signal;

use crate::distributed::scene::{Ports, Python, distributed, read, start_aggregator, write_logging};
use crate::support::system::System;

/// A subscriber with pyzmq's certificates: folder, client, port. It reads until a line contains a text of its standard input, and prints
/// `received`, or `nothing` if no line comes for as long as the input says.
const SUBSCRIBER: &str = r#"
import os, sys, zmq, zmq.auth
folder, client, port = sys.argv[1:4]
socket = zmq.Context().socket(zmq.SUB)
socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(os.path.join(folder, client + ".key_secret"))
socket.curve_serverkey, _ = zmq.auth.load_certificate(os.path.join(folder, "logging.key"))
socket.subscribe("")
socket.connect(f"tcp://127.0.0.1:{port}")
print("ready")
for line in sys.stdin:
    wait, text = line.rstrip("\n").split(" ", 1)
    found = 0
    while not found and socket.poll(int(wait)):
        found = text in socket.recv_multipart()[1].decode()
    print("received" if found else "nothing")
"#;

/// How long in milliseconds a subscriber waits for a line.
const SHORT_WAIT: &str = "1500";

/// A line that a broker logs at each SIGHUP.
const RELOADED: &str = "publishing logging messages to";

/// Configure `security:`.
fn secure(system: &mut System, ports: &Ports, security: &str) {
    security.clone_into(&mut system.more);
    write_logging(system, ports, &format!("{:?}", ports.pool), "");
}

/// Let the broker reload its configuration for the `count`th time.
fn reload(system: &System, count: usize) {
    system.signal("broker", Signal::HUP);
    system.wait_for_log_count("broker", RELOADED, count + 1);
}

/// Wait until the aggregator has logged a line that many times.
fn aggregated(system: &System, text: &str, count: usize) {
    system
        .wait_for(text, || (read(&system.path("nowcast.log")).matches(text).count() >= count).then_some(()));
}

#[test]
fn log_ports_that_are_open_to_other_machines_are_warned_of() {
    for (security, is_open) in [("", false), ("security: {bind: {logging: '*'}}", true)] {
        let (mut system, ports) = distributed("", 1);
        secure(&mut system, &ports, security);
        system.start_broker();
        let warning = "the log port is open to other machines without encryption and keys";
        assert_eq!(system.log("broker").contains(warning), is_open, "{}", system.describe());
        let (_, checks) = system.operation(&["doctor"]);
        assert_eq!(
            checks.contains("other machines can connect without a key (log port)"),
            is_open,
            "{checks}"
        );
    }
}

#[test]
fn a_hangup_limits_an_open_log_port_and_the_aggregator_says_so_and_comes_back_when_it_is_allowed() {
    let (mut system, ports) = distributed("", 1);
    system.start_broker();
    start_aggregator(&mut system);
    aggregated(&system, "[message_broker] running in process", 1);
    secure(&mut system, &ports, "security: {allow: {logging: [192.0.2.0/24]}}");
    reload(&system, 1);
    system.wait_for_log("broker", "a connection from 127.0.0.1 to the port for the logging was refused");
    system.wait_for_log("aggregator", "does not let the log aggregator connect: allow its address and key");
    secure(&mut system, &ports, "security: {allow: {logging: [127.0.0.1]}}");
    reload(&system, 2);
    // It waited for a subscriber. Lines on their way when the connection was ended may be lost.
    aggregated(&system, "a connection from 127.0.0.1 to the port for the logging was refused", 1);
}

#[test]
fn a_revoked_key_reads_no_more_log_messages_until_it_is_authorized_again() {
    let (mut system, ports) = distributed("", 1);
    secure(&mut system, &ports, "security: {curve: {keys: keys}}");
    system.operate(&["keys"]);
    system.operate(&["keys", "--client", "colleague"]);
    let key = system.path("keys/authorized/colleague.key");
    let kept = fs::read(&key).expect("the key");
    system.start_broker();
    start_aggregator(&mut system);
    aggregated(&system, &format!("[message_broker] {RELOADED}"), 1);
    let arguments =
        [system.path("keys").display().to_string(), "colleague".to_owned(), ports.broker.to_string()];
    let mut colleague = Python::start(SUBSCRIBER, &arguments);
    assert_eq!(colleague.line(), "ready");
    let mut reloads = 0;
    system.wait_for("the colleague's subscription", || {
        reloads += 1;
        reload(&system, reloads);
        colleague.say(&format!("{SHORT_WAIT} {RELOADED}"));
        (colleague.line() == "received").then_some(())
    });
    fs::remove_file(&key).expect("removed");
    reload(&system, reloads + 1);
    system.wait_for_log("broker", "its key is not in the folder `authorized`");
    colleague.say(&format!("{SHORT_WAIT} nothing has this text"));
    assert_eq!(colleague.line(), "nothing");
    reload(&system, reloads + 2);
    aggregated(&system, &format!("[message_broker] {RELOADED}"), reloads + 3);
    colleague.say(&format!("{SHORT_WAIT} {RELOADED}"));
    assert_eq!(colleague.line(), "nothing");
    fs::write(&key, kept).expect("written");
    reload(&system, reloads + 3);
    let mut more = reloads + 3;
    system.wait_for("the colleague's subscription", || {
        more += 1;
        reload(&system, more);
        colleague.say(&format!("{SHORT_WAIT} {RELOADED}"));
        (colleague.line() == "received").then_some(())
    });
}

#[test]
fn settings_that_take_a_restart_are_named_at_each_hangup() {
    let (mut system, ports) = distributed("", 1);
    system.start_broker();
    start_aggregator(&mut system);
    secure(&mut system, &ports, "security: {curve: {keys: keys}, limits: {message size: 100000}}");
    system.operate(&["keys"]);
    reload(&system, 1);
    let line = |setting: &str, who: &str| {
        format!(
            "`security: {setting}` has changed; that takes a restart, and {who} keeps the previous setting"
        )
    };
    system.wait_for_log("broker", &line("curve:", "the port for the workers"));
    system.wait_for_log("broker", &line("curve:", "the port for the logging"));
    system.wait_for_log("broker", &line("limits: message size:", "the port for the workers"));
    system.signal("aggregator", Signal::HUP);
    system.wait_for_log("aggregator", &line("curve:", "the log aggregator"));
    // The previous settings are in force: there is nothing to say of them.
    secure(&mut system, &ports, "");
    reload(&system, 2);
    system.wait_for_log_count("broker", "manager socket bound to port", 3);
    assert_eq!(system.log("broker").matches("takes a restart").count(), 3, "{}", system.describe());
}
