//! Every worker's end is known: an end without a report is reported to the rules, once.

use std::fs;

use crate::support::python;
use crate::support::system::{Builder, System, pid, system};
use rustix::process::{Signal, kill_process};

/// A worker like NEMO_Nowcast's: at SIGTERM it logs a line and exits with status 0 without a report.
const PLAIN: &str = r#"
import os, signal, sys, time, yaml, zmq
def end(number, frame):
    print("termination signal (SIGTERM) received; shutting down", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
port, how = sys.argv[1], sys.argv[2]
with open("plain.pid.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("plain.pid.new", "plain.pid")
if how == "exits":
    sys.exit(3)
if how == "waits":
    time.sleep(1000)
socket = zmq.Context().socket(zmq.REQ)
socket.connect(f"tcp://localhost:{port}")
socket.send_string(yaml.dump({"source": "plain", "type": "success", "payload": None}))
socket.recv_string()
if how == "reports and waits":
    time.sleep(1000)
"#;

const RULES: &str = "
function after_keyless(msg) return { NextWorker('plain', { msg.payload or 'waits' }) } end
function after_plain(msg) log.info('the rule heard ' .. msg.type) return {} end
";

fn with_worker(builder: Builder) -> Builder {
    let command = format!("[{}, plain.py, '{{run}}']", python::venv().display());
    // The worker's first argument is the run, so it reads the port, which is not known yet, from a file.
    builder
        .file("plain.py", PLAIN.replace("sys.argv[1], sys.argv[2]", "open('port').read(), sys.argv[2]"))
        .worker("plain: {success: it went well, failure: it did not, crash: it crashed}")
        .section(&format!("workers: {{plain: {{command: {command}}}}}"))
        .rules(RULES)
}

fn start() -> System {
    let mut system = with_worker(system()).prepare();
    fs::write(system.path("port"), system.workers_port.to_string()).expect("the port");
    system.start_broker();
    system.start_manager(&[]);
    system
}

fn worker_pid(system: &System) -> rustix::process::Pid {
    let text = system.wait_for("the worker", || fs::read_to_string(system.path("plain.pid")).ok());
    pid(text.parse().expect("a number"))
}

fn expect_one_crash(system: &System) {
    system.wait_for_log("manager", "the rule heard crash");
    // A later message has been answered, so no second report follows.
    system.works();
    assert_eq!(system.log("manager").matches("the rule heard").count(), 1, "{}", system.describe());
}

#[test]
fn a_worker_that_exits_at_sigterm_without_a_report_is_reported() {
    let system = start();
    system.send("keyless", "success", "waits");
    kill_process(worker_pid(&system), Signal::TERM).expect("it takes the signal");
    system
        .wait_for_log("manager", "exited with status 0 without a report; the manager reports a crash for it");
    expect_one_crash(&system);
}

#[test]
fn a_killed_worker_is_reported() {
    let system = start();
    system.send("keyless", "success", "waits");
    kill_process(worker_pid(&system), Signal::KILL).expect("it takes the signal");
    system.wait_for_log("manager", "was killed by signal 9 without a report");
    expect_one_crash(&system);
}

#[test]
fn a_worker_that_exits_with_status_3_is_reported() {
    let system = start();
    system.send("keyless", "success", "exits");
    system.wait_for_log("manager", "exited with status 3 without a report");
    expect_one_crash(&system);
}

#[test]
fn a_worker_that_has_reported_is_not_reported() {
    let system = start();
    system.send("keyless", "success", "reports and waits");
    system.wait_for_log("manager", "the rule heard success");
    kill_process(worker_pid(&system), Signal::KILL).expect("it takes the signal");
    system.wait_for_log("manager", "was killed by signal 9");
    // A second worker that does not report: its crash comes later than one of the first worker would.
    fs::remove_file(system.path("plain.pid")).expect("removed");
    system.send("keyless", "success", "exits");
    system.wait_for_log("manager", "the rule heard crash");
    let heard = system.log("manager");
    assert_eq!(heard.matches("the rule heard").count(), 2, "{}", system.describe());
}

#[test]
fn a_worker_that_cannot_be_started_is_reported() {
    let system = system()
        .section("workers: {awaken: {command: [/no/such/program]}}")
        .rules("function after_keyless() return { NextWorker('awaken') } end\nfunction after_awaken(msg) log.info('the rule heard ' .. msg.type) return {} end")
        .start();
    system.works();
    system.wait_for_log("manager", "CRITICAL [manager] could not launch NextWorker(module='awaken', args=[], host='localhost'): /no/such/program");
    expect_one_crash(&system);
}

#[test]
fn the_next_manager_learns_the_end_of_a_worker_without_a_manager() {
    let mut system = start();
    system.send("keyless", "success", "waits");
    let worker = worker_pid(&system);
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    kill_process(worker, Signal::KILL).expect("it takes the signal");
    system.start_manager(&[]);
    system.wait_for_log("manager", "was killed by signal 9 without a report");
    expect_one_crash(&system);
}

#[test]
fn a_run_continues_while_managers_restart() {
    let mut system = start();
    system.send("keyless", "success", "waits");
    let worker = worker_pid(&system);
    for _ in 0..3 {
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
        system.start_manager(&[]);
        system.works();
    }
    assert!(rustix::process::test_kill_process(worker).is_ok(), "it still runs");
    kill_process(worker, Signal::KILL).expect("it takes the signal");
    // The messages of this test launch further workers.
    system.wait_for_log("manager", "was killed by signal 9 without a report");
}
