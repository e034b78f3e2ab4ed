//! Programs that connect and disconnect without end, or send without end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use zmq::{Context, Socket, SocketType};

use crate::support::system::{System, system};

/// The connections of a storm, in all.
const CONNECTIONS: u64 = 20_000;

/// The memory in kB that a broker may gain in a storm. Connections that have ended leave nothing, but on a busy machine thousands end late;
/// if each left its 13 kB, it would be 260 MB.
const MORE_MEMORY: u64 = 120_000;

/// What a DEALER sends first: ZMTP 3.0, the mechanism NULL, and its type.
fn handshake() -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    bytes.extend(b"NULL");
    bytes.resize(64, 0);
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER";
    bytes.extend([4, u8::try_from(ready.len()).expect("a short command")]);
    bytes.extend(ready);
    bytes
}

/// Connect to a port, exchange greetings and disconnect, again and again.
fn storm(port: u16, is_over: &AtomicBool, count: &AtomicU64) {
    let handshake = handshake();
    while !is_over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        if stream.write_all(&handshake).is_ok() {
            let _ = stream.read(&mut [0; 64]);
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn memory(system: &System, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", system.id(name))).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

#[test]
fn workers_are_served_during_a_storm_of_connections_and_memory_stays() {
    for is_managers in [true, false] {
        let system = system().start();
        system.works();
        let port = if is_managers { system.manager_port } else { system.workers_port };
        let before = memory(&system, "broker");
        let (is_over, count) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| storm(port, &is_over, &count));
            }
            while count.load(Ordering::Relaxed) < CONNECTIONS {
                system.works();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        system.works();
        let gained = memory(&system, "broker").saturating_sub(before);
        assert!(gained < MORE_MEMORY, "{gained} kB\n{}", system.describe());
    }
}

/// libzmq itself keeps such a message, outside of all limits.
#[test]
fn a_message_without_an_end_costs_no_more_memory_than_requests_may() {
    const FRAMES: usize = 40;
    const FRAME: usize = 1_000_000;
    let system = system().section("security: {limits: {waiting size: 20000000}}").start();
    let mut endless = TcpStream::connect(("127.0.0.1", system.workers_port)).expect("a connection");
    endless.write_all(&handshake()).expect("sent");
    // Its greeting and its READY: what comes before that ends the connection.
    let mut greeting = [0; 66];
    endless.read_exact(&mut greeting).expect("a greeting");
    endless.read_exact(&mut vec![0; greeting[65].into()]).expect("ready");
    // A frame with more to come: its flags, its length and its bytes.
    let mut frame = vec![3];
    frame.extend((FRAME as u64).to_be_bytes());
    frame.resize(frame.len() + FRAME, b'x');
    system.wait_for("the end of the connection", || endless.write_all(&frame).is_err().then_some(()));
    system.wait_for_log("broker", "bytes of a message without its end");
    system.works();

    // Messages that end may have any number of bytes, one after the other.
    let text = format!("{{source: keyless, type: success, payload: {}}}", "x".repeat(FRAME));
    let socket = system.connect();
    for _ in 0..FRAMES {
        socket.send(&text, 0).expect("sent");
        assert_eq!(system.receive(&socket).r#type, "ack");
    }
    assert_eq!(system.log("broker").matches("bytes of a message without its end").count(), 1);
}

/// A client that can send without waiting for replies.
fn client(system: &System, context: &Context) -> Socket {
    let socket = context.socket(SocketType::DEALER).expect("a socket");
    socket.set_linger(0).expect("an option");
    // Its own queues hold little.
    socket.set_rcvhwm(1).expect("an option");
    socket.set_sndhwm(100).expect("an option");
    socket.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("an address");
    socket
}

#[test]
fn a_client_that_never_reads_its_replies_costs_no_more_memory_than_its_requests_may() {
    const QUESTIONS: u32 = 2_000;
    let system = system().section("security: {limits: {requests per client: 50}}").start();
    let large = format!("{{key: {}}}", "x".repeat(100_000));
    assert_eq!(system.send("sleep", "success", &large), "ack");
    let before = memory(&system, "broker");
    let context = Context::new();
    let deaf = client(&system, &context);
    for _ in 0..QUESTIONS / 50 {
        for _ in 0..50 {
            deaf.send_multipart(["", "{source: sleep, type: need, payload: sleepyhead}"], 0).expect("sent");
        }
        // Answered after them.
        system.works();
    }
    let gained = memory(&system, "broker").saturating_sub(before);
    // All replies would be 200 MB.
    assert!(gained < 40_000, "{gained} kB");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_client_that_sends_faster_than_the_broker_reads_has_to_wait() {
    let mut system = system().prepare();
    // The broker takes one message a second.
    system.set_env("FAILPOINTS", "broker: request taken=sleep(1000)");
    system.start_broker();
    let context = Context::new();
    let hasty = client(&system, &context);
    hasty.set_sndtimeo(2_000).expect("an option");
    let body = "x".repeat(10_000);
    let sent = (0..20_000).take_while(|_| hasty.send_multipart(["", body.as_str()], 0).is_ok()).count();
    assert!(sent < 20_000, "all messages wait in the broker");
}
