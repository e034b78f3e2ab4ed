//! Ten thousand workers at once: each gets its reply.

use std::process::Command;

use rustix::process::Signal;

use super::redelivery::with_broker;
use crate::support::python;
use crate::support::system::System;

/// A manager in Python. It answers the first requests, up to a number, with their own bodies, and prints a line when it
/// has received a number of them.
const MANAGER: &str = r#"
import sys, zmq
port, answers, says = (int(argument) for argument in sys.argv[1:4])
socket = zmq.Context().socket(zmq.ROUTER)
socket.set_hwm(0)
socket.connect(f"tcp://127.0.0.1:{port}")
taken = 0
while True:
    frames = socket.recv_multipart()
    taken += 1
    if taken <= answers:
        socket.send_multipart(frames)
    if taken == says:
        print("taken", taken, flush=True)
"#;

/// Workers in Python, each a REQ socket with a message of its own. The script prints a line when all wait, and exits
/// when all have got the reply to their own message.
const WORKERS: &str = r#"
import resource, sys, zmq
port, first, count = (int(argument) for argument in sys.argv[1:4])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
context = zmq.Context()
context.set(zmq.MAX_SOCKETS, count + 10)
sockets = []
for number in range(first, first + count):
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send_string(f"message {number}")
    sockets.append((number, socket))
print("all wait", flush=True)
for number, socket in sockets:
    reply = socket.recv_string()
    assert reply == f"message {number}", (reply, number)
print("all answered", flush=True)
"#;

/// Workers in Python as [`WORKERS`], each with a message for a real manager.
const SENDERS: &str = r#"
import resource, sys, yaml, zmq
port, first, count = (int(argument) for argument in sys.argv[1:4])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
context = zmq.Context()
context.set(zmq.MAX_SOCKETS, count + 10)
sockets = []
filler = "x" * 3000
for number in range(first, first + count):
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send_string(f"payload: {{text: {filler}}}\nsource: sleep\ntype: success\n")
    sockets.append(socket)
print("all wait", flush=True)
for socket in sockets:
    reply = yaml.safe_load(socket.recv_string())
    assert reply["type"] == "ack", reply
print("all answered", flush=True)
"#;

fn script(text: &str, arguments: &[usize]) -> Command {
    let mut command = Command::new(python::venv());
    command.args(["-c", text]).args(arguments.iter().map(ToString::to_string));
    command
}

impl System {
    pub fn start_python_manager(&mut self, name: &str, answers: usize, says: usize) {
        self.spawn(name, script(MANAGER, &[self.manager_port.into(), answers, says]));
    }

    pub fn start_python_workers(&mut self, name: &str, first: usize, count: usize) {
        self.spawn(name, script(WORKERS, &[self.workers_port.into(), first, count]));
    }
}

/// Workers wait when a manager connects, which answers some of them, receives more and is killed. The broker gets the
/// signals `broker` meanwhile. The next manager answers the rest.
fn many_workers(processes: usize, each: usize, broker: &[Signal]) {
    let mut system = with_broker();
    let names: Vec<_> = (0..processes).map(|number| format!("workers-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        system.start_python_workers(name, number * each, each);
    }
    for name in &names {
        system.wait_for_log(name, "all wait");
    }
    let all = processes * each;
    system.start_python_manager("first", all / 4, all / 2);
    system.wait_for_log("first", &format!("taken {}", all / 2));
    if let Some(stop) = broker.first() {
        system.signal("broker", *stop);
    }
    system.kill("first");
    system.start_python_manager("second", usize::MAX >> 1, 1);
    for signal in broker.iter().skip(1) {
        // The kernel completes the connection for the stopped broker.
        system.wait_for("the second manager's connection", || {
            let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
            let to_broker = format!("0100007F:{:04X}", system.manager_port);
            // The columns: number, local address, other address, state (1 is ESTABLISHED).
            let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            rows.any(|row| row[2] == to_broker && row[3] == "01").then_some(())
        });
        system.signal("broker", *signal);
    }
    for name in &names {
        system.ends_well(name);
    }
}

#[test]
fn ten_thousand_waiting_workers_are_all_answered_though_a_manager_dies() {
    many_workers(5, 2_000, &[]);
}

#[test]
fn a_broker_that_was_stopped_while_the_manager_changed_loses_nothing() {
    for _ in 0..5 {
        many_workers(1, 1_000, &[Signal::STOP, Signal::CONT]);
    }
}

/// A broker that seldom reads: replies of the manager wait for it, and none is lost.
#[test]
fn ten_thousand_workers_behind_a_slow_broker_are_all_answered() {
    let (processes, each) = (5, 2_000);
    let mut system = with_broker();
    let names: Vec<_> = (0..processes).map(|number| format!("senders-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        system.spawn(name, script(SENDERS, &[system.workers_port.into(), number * each, each]));
    }
    for name in &names {
        system.wait_for_log(name, "all wait");
    }
    system.start_manager(&[]);
    let decided = |system: &System| system.log("manager").matches("received message from sleep").count();
    let mut before = 0;
    while before < processes * each {
        system.signal("broker", Signal::STOP);
        // All requests that the manager received are decided and answered.
        let mut last = usize::MAX;
        before = system.wait_for("a manager with nothing to do", || {
            let now = decided(&system);
            std::mem::replace(&mut last, now).eq(&now).then_some(now)
        });
        system.signal("broker", Signal::CONT);
        system.wait_for("more messages", || {
            let now = decided(&system);
            (now > before || now == processes * each).then_some(())
        });
    }
    for name in &names {
        system.ends_well(name);
    }
}
