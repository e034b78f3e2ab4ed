//! Every worker's end is known: who ends without a word is reported to the rules, once.

use std::fs;

use crate::support::python;
use crate::support::system::{Builder, System, pid, system};
use rustix::process::{Signal, kill_process};

/// A worker as the peer's: given SIGTERM it says so in its log and exits with status 0 in silence.
const PEER: &str = r#"
import os, signal, sys, time, yaml, zmq
def end(number, frame):
    print("termination signal (SIGTERM) received; shutting down", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
port, how = sys.argv[1], sys.argv[2]
with open("peer.pid.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("peer.pid.new", "peer.pid")
if how == "exits":
    sys.exit(3)
if how == "waits":
    time.sleep(1000)
socket = zmq.Context().socket(zmq.REQ)
socket.connect(f"tcp://localhost:{port}")
socket.send_string(yaml.dump({"source": "peer", "type": "success", "payload": None}))
socket.recv_string()
if how == "reports and waits":
    time.sleep(1000)
"#;

const RULES: &str = "
function after_keyless(msg) return { NextWorker('peer', { msg.payload or 'waits' }) } end
function after_peer(msg) log.info('the rule heard ' .. msg.type) return {} end
";

fn with_peer(builder: Builder) -> Builder {
    let command = format!("[{}, peer.py, '{{run}}']", python::venv().display());
    // The port is not known yet: the worker's first argument is the run, so it gets the port from a file.
    builder
        .file("peer.py", PEER.replace("sys.argv[1], sys.argv[2]", "open('port').read(), sys.argv[2]"))
        .worker("peer: {success: it went well, failure: it did not, crash: it crashed}")
        .section(&format!("workers: {{peer: {{command: {command}}}}}"))
        .rules(RULES)
}

fn start() -> System {
    let mut system = with_peer(system()).prepare();
    fs::write(system.path("port"), system.workers_port.to_string()).expect("the port");
    system.start_broker();
    system.start_manager(&[]);
    system
}

fn peer_pid(system: &System) -> rustix::process::Pid {
    let text = system.wait_for("the worker", || fs::read_to_string(system.path("peer.pid")).ok());
    pid(text.parse().expect("a number"))
}

fn expect_one_crash(system: &System) {
    system.wait_for_log("manager", "the rule heard crash");
    // A message after it, and its answer: nothing more came of the end.
    system.works();
    assert_eq!(system.log("manager").matches("the rule heard").count(), 1, "{}", system.describe());
}

#[test]
fn one_that_is_given_sigterm_and_exits_in_silence_is_reported() {
    let system = start();
    system.send("keyless", "success", "waits");
    kill_process(peer_pid(&system), Signal::TERM).expect("it takes the signal");
    system
        .wait_for_log("manager", "ended with status 0 without a report; the manager reports a crash for it");
    expect_one_crash(&system);
}

#[test]
fn one_that_is_killed_is_reported() {
    let system = start();
    system.send("keyless", "success", "waits");
    kill_process(peer_pid(&system), Signal::KILL).expect("it takes the signal");
    system.wait_for_log("manager", "was killed by signal 9 without a report");
    expect_one_crash(&system);
}

#[test]
fn one_that_exits_with_status_3_is_reported() {
    let system = start();
    system.send("keyless", "success", "exits");
    system.wait_for_log("manager", "ended with status 3 without a report");
    expect_one_crash(&system);
}

#[test]
fn one_that_has_reported_is_not() {
    let system = start();
    system.send("keyless", "success", "reports and waits");
    system.wait_for_log("manager", "the rule heard success");
    kill_process(peer_pid(&system), Signal::KILL).expect("it takes the signal");
    system.wait_for_log("manager", "was killed by signal 9");
    // A second one that says nothing: its crash comes later than the first one's would have.
    fs::remove_file(system.path("peer.pid")).expect("removed");
    system.send("keyless", "success", "exits");
    system.wait_for_log("manager", "the rule heard crash");
    let heard = system.log("manager");
    assert_eq!(heard.matches("the rule heard").count(), 2, "{}", system.describe());
}

#[test]
fn one_that_cannot_be_started_is_reported() {
    let system = system()
        .section("workers: {awaken: {command: [/no/such/program]}}")
        .rules("function after_keyless() return { NextWorker('awaken') } end\nfunction after_awaken(msg) log.info('the rule heard ' .. msg.type) return {} end")
        .start();
    system.works();
    system.wait_for_log("manager", "CRITICAL [manager] could not launch NextWorker(module='awaken', args=[], host='localhost'): /no/such/program");
    expect_one_crash(&system);
}

#[test]
fn the_end_of_a_worker_while_no_manager_is_there_is_known_to_the_next_one() {
    let mut system = start();
    system.send("keyless", "success", "waits");
    let peer = peer_pid(&system);
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    kill_process(peer, Signal::KILL).expect("it takes the signal");
    system.start_manager(&[]);
    system.wait_for_log("manager", "was killed by signal 9 without a report");
    expect_one_crash(&system);
}

#[test]
fn a_run_goes_on_while_managers_come_and_go() {
    let mut system = start();
    system.send("keyless", "success", "waits");
    let peer = peer_pid(&system);
    for _ in 0..3 {
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
        system.start_manager(&[]);
        system.works();
    }
    assert!(rustix::process::test_kill_process(peer).is_ok(), "it still runs");
    kill_process(peer, Signal::KILL).expect("it takes the signal");
    // The message that launched it and those that show that the system works launch more of them.
    system.wait_for_log("manager", "was killed by signal 9 without a report");
}
