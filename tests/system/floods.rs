//! More messages, or larger ones, than a batch takes.

use std::fs;
use std::process::Command;

use crate::support::python;
use crate::support::system::{System, system};

/// Workers in Python that send their next message as soon as they have a reply, until the file `stop` exists.
const FLOOD: &str = r#"
import os, resource, sys, zmq
port, count = (int(argument) for argument in sys.argv[1:3])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
context = zmq.Context()
context.set(zmq.MAX_SOCKETS, count + 10)
poller = zmq.Poller()
message = "{source: keyless, type: success, payload: null}"
for number in range(count):
    socket = context.socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send_string(message)
    poller.register(socket, zmq.POLLIN)
print("all wait", flush=True)
while not os.path.exists("stop"):
    for socket, _ in poller.poll(100):
        socket.recv()
        socket.send_string(message)
"#;

/// Workers in Python, each with a message of a megabyte. They print a line when all wait, and exit when all have a reply.
const LARGE: &str = r#"
import sys, zmq
port, count = (int(argument) for argument in sys.argv[1:3])
context = zmq.Context()
sockets = []
for number in range(count):
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://127.0.0.1:{port}")
    text = f"message {number} ".ljust(1_000_000, "x")
    socket.send_string(f"payload: {{text: {text}}}\nsource: sleep\ntype: success\n")
    sockets.append(socket)
print("all wait", flush=True)
for number, socket in enumerate(sockets, 1):
    reply = socket.recv_string()
    assert "type: ack" in reply, reply
    print("replies:", number, flush=True)
"#;

fn start_workers(system: &mut System, name: &str, script: &str, count: usize) {
    let mut command = Command::new(python::venv());
    command.current_dir(system.path(""));
    command.args(["-c", script, &system.workers_port.to_string(), &count.to_string()]);
    system.spawn(name, command);
    system.wait_for_log(name, "all wait");
}

#[test]
fn a_crash_is_reported_though_more_messages_wait_than_a_batch_takes() {
    let mut system = system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section("workers: {tick: {command: ['false']}}")
        .rules(
            "function after_sleep() return { NextWorker('tick') } end
             function after_tick(msg) log.info('the rule heard ' .. msg.type) return {} end",
        )
        .start();
    start_workers(&mut system, "flood", FLOOD, 4_000);
    system.wait_for_log_count("manager", "received message from keyless", 2_000);
    assert_eq!(system.send("sleep", "success", "null"), "ack");
    system.wait_for_log("manager", "the rule heard crash");
    // The flood has not ended meanwhile.
    let before = system.log("manager").matches("received message from keyless").count();
    system.wait_for_log_count("manager", "received message from keyless", before + 2_000);
    fs::write(system.path("stop"), "").expect("a file");
    system.ends_well("flood");
}

/// The messages are decided in several batches, and the workers of the first need not wait for the others.
#[test]
fn large_messages_are_answered_by_a_manager_with_little_memory() {
    /// How many workers wait. Their messages take twice their bytes when they are decoded.
    const WORKERS: usize = 200;
    /// The threads of a manager alone take 250 MB of addresses.
    const LIMIT: &str = "--as=550000000";
    let mut system = system().prepare();
    system.start_broker();
    start_workers(&mut system, "workers", LARGE, WORKERS);
    let mut manager = Command::new("prlimit");
    let nowcast = system.command(&["manager", "nowcast.yaml"]);
    manager.arg(LIMIT).arg(nowcast.get_program()).args(nowcast.get_args()).current_dir(system.path(""));
    system.spawn("manager", manager);
    for number in 1..=WORKERS {
        system.wait_for_log("workers", &format!("replies: {number}\n"));
    }
    system.ends_well("workers");
    let reply = system.send_raw("{source: sleep, type: need, payload: sleepyhead}");
    assert_eq!(reply.r#type, "ack");
}
