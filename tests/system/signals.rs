//! The effect of signals on the daemons.

use std::fs;

use rustix::process::Signal;

use crate::support::system::{System, free_ports, system};

fn ends_cleanly(daemon: &str, signal: Signal, line: &str) {
    let mut system = system().start();
    system.works();
    system.signal(daemon, signal);
    assert_eq!(system.wait_for_end(daemon).code(), Some(0), "{}", system.describe());
    assert!(system.log(daemon).contains(line), "{}", system.describe());
}

#[test]
fn sigint_ends_a_daemon_with_status_0() {
    let line = "interrupt signal (SIGINT or Ctrl-C) received; shutting down";
    ends_cleanly("manager", Signal::INT, line);
    ends_cleanly("broker", Signal::INT, line);
}

#[test]
fn sigterm_ends_a_daemon_with_status_0() {
    let line = "termination signal (SIGTERM) received; shutting down";
    ends_cleanly("manager", Signal::TERM, line);
    ends_cleanly("broker", Signal::TERM, line);
}

#[test]
fn requests_wait_while_the_manager_is_away() {
    let mut system = system().prepare();
    system.start_broker();
    let socket = system.connect();
    socket.send("{source: keyless, type: success, payload: null}", 0).expect("sent");
    system.start_manager(&[]);
    assert_eq!(system.receive(&socket).r#type, "ack");
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
    let again = system.connect();
    again.send("{source: keyless, type: success, payload: null}", 0).expect("sent");
    system.start_manager(&[]);
    assert_eq!(system.receive(&again).r#type, "ack");
}

/// A broker that was asked to stop while a request is open: the waiting worker, and a manager that has the request and
/// has not replied.
struct Draining {
    system: System,
    worker: zmq::Socket,
    manager: zmq::Socket,
}

fn draining() -> Draining {
    let mut system = system().prepare();
    system.start_broker();
    let worker = system.connect();
    worker.send("{source: keyless, type: success, payload: null}", 0).expect("sent");
    let manager = system.context.socket(zmq::REP).expect("a socket");
    manager.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
    manager.recv_bytes(0).expect("the request");
    system.signal("broker", Signal::TERM);
    system.wait_for_log("broker", "waiting up to 10 s for replies: 1");
    Draining { system, worker, manager }
}

impl Draining {
    /// Let the manager reply: the worker gets the reply, and the broker exits with status 0.
    fn answers(mut self) {
        self.manager.send("{source: manager, type: ack, payload: null}", 0).expect("answered");
        assert_eq!(self.system.receive(&self.worker).r#type, "ack");
        assert_eq!(self.system.wait_for_end("broker").code(), Some(0));
    }
}

#[test]
fn a_broker_that_is_asked_to_stop_returns_the_open_replies_first() {
    draining().answers();
}

#[test]
fn sighup_during_the_drain_does_not_cut_it_short() {
    let draining = draining();
    draining.system.signal("broker", Signal::HUP);
    draining.answers();
}

#[test]
fn a_broker_with_open_requests_ends_at_the_second_signal() {
    let Draining { mut system, .. } = draining();
    system.signal("broker", Signal::TERM);
    assert_eq!(system.wait_for_end("broker").code(), Some(0));
    assert!(system.log("broker").contains("ended with unanswered requests: 1"));
}

fn move_to_new_ports(system: &mut System) -> (u16, u16) {
    let old = (system.manager_port, system.workers_port);
    (system.manager_port, system.workers_port) = free_ports();
    system.write_config();
    old
}

#[test]
fn sighup_adds_new_ports_and_keeps_the_old_ones() {
    let mut system = system().start();
    let (old_manager, old_workers) = move_to_new_ports(&mut system);
    for daemon in ["broker", "manager"] {
        system.signal(daemon, Signal::HUP);
        system.wait_for_log(daemon, "hangup signal (SIGHUP) received; reloading configuration");
    }
    system.wait_for_log("broker", &format!("worker socket bound to port {}", system.workers_port));
    system.wait_for_log("manager", &format!("connected to localhost port {}", system.manager_port));
    system.works();
    assert_ne!(old_manager, system.manager_port);
    system.workers_port = old_workers;
    system.works();
}

#[test]
fn sighup_with_a_bad_configuration_changes_nothing() {
    let system = system().start();
    fs::write(system.config(), "zmq: [").expect("written");
    for daemon in ["broker", "manager"] {
        system.signal(daemon, Signal::HUP);
        system.wait_for_log(daemon, "the new configuration is refused, the old one stays");
    }
    system.works();
}

#[test]
fn sighup_reads_the_registry_again() {
    let mut system = system().start();
    assert_eq!(system.send("late", "success", "null"), "unregistered worker");
    system.more = String::new();
    let text = fs::read_to_string(system.config()).expect("the configuration");
    fs::write(
        system.config(),
        text.replace("    keyless:", "    late: {success: yes, crash: no}\n    keyless:"),
    )
    .expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for("the new registry", || {
        (system.send("late", "success", "null") != "unregistered worker").then_some(())
    });
}

#[test]
fn no_request_is_lost_over_many_reloads() {
    let system = system().start();
    let sockets: Vec<_> = (0..50).map(|_| system.connect()).collect();
    for (number, socket) in sockets.iter().enumerate() {
        socket.send("{source: keyless, type: success, payload: null}", 0).expect("sent");
        let daemon = if number % 2 == 0 { "manager" } else { "broker" };
        system.signal(daemon, Signal::HUP);
    }
    for socket in &sockets {
        assert_eq!(system.receive(socket).r#type, "ack");
    }
}

#[test]
fn sighup_reads_an_edited_checklist_file() {
    let system = system().worker("reader: {need: needs}").start();
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    fs::write(system.path("checklist.yaml"), "sleepyhead: {sleep time: 6}\n").expect("edited");
    system.signal("manager", Signal::HUP);
    system.wait_for_log("manager", "checklist read from");
    let reply = system.send_raw("{source: reader, type: need, payload: sleepyhead}");
    assert_eq!(reply.payload.get("sleep time").and_then(pyyaml::Value::as_int), Some(6));
}

#[test]
fn killing_the_manager_under_traffic_does_not_end_the_broker() {
    let mut system = system().start();
    let client = system.context.socket(zmq::DEALER).expect("a socket");
    client.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("a connection");
    client.set_sndtimeo(10_000).expect("a timeout");
    client.set_linger(0).expect("an option");
    for _ in 0..20 {
        for _ in 0..2_000 {
            let frames = ["", "{source: keyless, type: success, payload: null}"];
            client.send_multipart(frames, 0).expect("the broker takes it");
        }
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
        system.start_manager(&[]);
    }
    system.works();
    assert!(!system.log("broker").contains("CRITICAL"), "{}", system.describe());
}

/// The processor time of a process in ticks of 10 ms.
fn ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    behind_name.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok()).unwrap_or_default()
}

#[test]
fn a_manager_that_is_asked_to_stop_answers_the_requests_that_it_has() {
    let slow = "function after_sleep() for i = 1, 3e7 do end return {} end";
    let mut system = system().rules(slow).start();
    let sockets: Vec<_> = (0..20).map(|_| system.connect()).collect();
    let before = ticks(system.id("manager"));
    for (number, socket) in sockets.iter().enumerate() {
        let source = if number == 0 { "sleep" } else { "keyless" };
        socket.send(&format!("{{source: {source}, type: success, payload: null}}"), 0).expect("sent");
    }
    // The slow rule runs, and the other requests arrive meanwhile.
    system.wait_for("the slow rule", || (ticks(system.id("manager")) > before + 10).then_some(()));
    system.signal("manager", Signal::TERM);
    for socket in &sockets {
        assert_eq!(system.receive(socket).r#type, "ack");
    }
    assert_eq!(system.wait_for_end("manager").code(), Some(0));
}
