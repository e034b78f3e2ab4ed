//! Lines that are published: many at once, and more than can wait.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nowcast::log_publisher::Publishing;
use pylogging::{Logger, Role, Setup};
use zmq::{Context, SocketType};

/// The environment variable with the address of a process that publishes.
const ADDRESS: &str = "NOWCAST_PUBLISHING_TEST_ADDRESS";

/// The name under which it publishes.
const NAME: &str = "manager";

/// Ends what the test harness prints before the process begins.
const BEGIN: &str = "-- begins --";

/// Held by tests that do not run at the same time: one takes the whole machine, the other needs it.
static MACHINE: Mutex<()> = Mutex::new(());

/// Start a process that publishes at that address what its stdin asks for: this test program once more, since a process
/// has one logger.
fn start(address: &str) -> Child {
    let this =
        module_path!().split_once("::").map(|(_, module)| format!("{module}::publish_what_stdin_asks_for"));
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", &this.unwrap()])
        .env(ADDRESS, address)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Return what the process wrote to stdout and stderr. Panics if it failed.
fn finish(child: Child) -> (String, String) {
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let stdout =
        stdout.split_once(&format!("{BEGIN}\n")).map(|(_, after)| after.to_owned()).unwrap_or(stdout);
    (stdout, stderr)
}

/// The process that the other tests start; without an address it has nothing to do. A number in its input asks for
/// that many records, anything else is a line.
#[test]
fn publish_what_stdin_asks_for() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    pylogging::name_program("nowcast");
    println!("{BEGIN}");
    let config = r#"{"publisher": {"handlers": {"zmq_pub": {"class": "zmq.log.handlers.PUBHandler"}},
                     "root": {"level": "DEBUG", "handlers": ["zmq_pub"]}}}"#;
    let publishing = Publishing {
        name: NAME.to_owned(),
        addresses: vec![address.clone()],
        security: nowcast::config::SecuritySettings::default(),
        curve: None,
    };
    let config = pyyaml::read(config).unwrap();
    let (setup, warnings) = Setup::publishing(&config, Role::Daemon, &publishing).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(setup.first_line("lines"), Some(format!("publishing lines to {address}")));
    pylogging::install(setup);
    let logger = Logger::new(NAME);
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        match line.parse() {
            Ok(count) => (0..count).for_each(|number| logger.info(record(number))),
            Err(_) => logger.info(line),
        }
    }
    pylogging::finish();
    // The harness would print more.
    std::process::exit(0);
}

/// The record that the script's step `many` writes, as it is published.
fn record(number: u32) -> String {
    let body = "\nmanager goes on".repeat(if number.is_multiple_of(10) { 600 } else { 3 });
    format!("{number}{body}\nend of manager {number}")
}

fn free_address() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("tcp://127.0.0.1:{}", listener.local_addr().unwrap().port())
}

#[test]
fn many_lines_at_once_arrive_whole_and_in_order() {
    const COUNT: u32 = 5_000;
    let address = free_address();
    let socket = Context::new().socket(SocketType::SUB).unwrap();
    socket.set_subscribe(b"").unwrap();
    socket.set_rcvtimeo(30_000).unwrap();
    socket.connect(&address).unwrap();
    let mut child = start(&address);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"here I am\n").unwrap();
    let next = || socket.recv_multipart(0).unwrap();
    assert_eq!(next(), [b"manager.INFO".to_vec(), b"here I am\n".to_vec()]);
    writeln!(stdin, "{COUNT}").unwrap();
    drop(stdin);
    for number in 0..COUNT {
        assert_eq!(next(), [b"manager.INFO".to_vec(), format!("{}\n", record(number)).into_bytes()]);
    }
    let (_, stderr) = finish(child);
    assert_eq!(stderr, "");
}

#[test]
fn lines_without_a_subscriber_are_shown_whole_and_in_order() {
    // 7 MB; 4 MB can wait.
    const COUNT: u32 = 6_000;
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let address = free_address();
    let mut child = start(&address);
    writeln!(child.stdin.take().unwrap(), "{COUNT}").unwrap();
    let (stdout, stderr) = finish(child);
    assert_eq!(stdout, "");
    let said = format!(
        "nowcast: no subscriber has received log lines from {address}; is the log aggregator running? They are shown here:\n"
    );
    let mut rest = stderr.strip_prefix(&said).unwrap_or_else(|| panic!("{}", &stderr[..500]));
    for number in 0..COUNT {
        let (_, line) = rest.split_once(" INFO [manager] ").unwrap();
        let shown = record(number).replace('\n', "\n  ");
        rest = line.strip_prefix(&shown).unwrap_or_else(|| panic!("{number} is not whole"));
    }
    assert_eq!(rest, "\n");
}

#[test]
fn a_program_that_subscribes_without_end_is_disconnected_and_others_are_served() {
    let address = free_address();
    let mut child = start(&address);
    let context = Context::new();
    let subscriber = context.socket(SocketType::SUB).unwrap();
    subscriber.set_rcvtimeo(30_000).unwrap();
    subscriber.set_subscribe(b"").unwrap();
    subscriber.connect(&address).unwrap();
    let greedy = context.socket(SocketType::XSUB).unwrap();
    greedy.set_sndhwm(0).unwrap();
    greedy.set_linger(0).unwrap();
    greedy.connect(&address).unwrap();
    for number in 0..20_000 {
        greedy.send(format!("\u{1}topic {number}").as_str(), 0).unwrap();
    }
    let next_line = || {
        let frames = subscriber.recv_multipart(0).expect("a line");
        String::from_utf8(frames[1].clone()).unwrap()
    };
    while !next_line().contains("a connection from 127.0.0.1 to the port for log messages was ended: it sent")
    {
    }
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"still served\n").unwrap();
    while next_line() != "still served\n" {}
    drop(stdin);
    finish(child);
}

#[test]
fn subscribers_over_the_limit_wait_until_others_have_gone() {
    // The limit is 100.
    const OTHERS: usize = 130;
    let address = free_address();
    let mut child = start(&address);
    let context = Context::new();
    let subscribe = |timeout: i32| {
        let subscriber = context.socket(SocketType::SUB).unwrap();
        subscriber.set_rcvtimeo(timeout).unwrap();
        subscriber.set_subscribe(b"").unwrap();
        subscriber.connect(&address).unwrap();
        subscriber
    };
    let subscriber = subscribe(30_000);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"connected\n").unwrap();
    let next_line = |subscriber: &zmq::Socket| {
        let frames = subscriber.recv_multipart(0).expect("a line");
        String::from_utf8(frames[1].clone()).unwrap()
    };
    assert_eq!(next_line(&subscriber), "connected\n");
    let others: Vec<zmq::Socket> = (0..OTHERS).map(|_| subscribe(30_000)).collect();
    let refusal = next_line(&subscriber);
    assert!(
        refusal.contains("to the port for the logging has to wait: the limit of 100 connections is reached"),
        "{refusal}"
    );
    drop(others);
    let late = subscribe(200);
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < end, "a new subscriber is not served");
        stdin.write_all(b"still served\n").unwrap();
        assert_eq!(next_line(&subscriber), "still served\n");
        if late.recv_multipart(0).is_ok() {
            break;
        }
    }
    drop(stdin);
    finish(child);
}

/// The bytes with which a subscriber begins: ZMTP 3.0, the mechanism NULL, and its type.
fn handshake() -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    bytes.extend(b"NULL");
    bytes.resize(64, 0);
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB";
    bytes.extend([4, u8::try_from(ready.len()).unwrap()]);
    bytes.extend(ready);
    bytes
}

/// A frame that begins (1) or ends (0) a subscription.
fn frame(kind: u8, topic: &str) -> Vec<u8> {
    let length = u8::try_from(topic.len() + 1).unwrap();
    [&[0, length, kind], topic.as_bytes()].concat()
}

/// Connect and send these bytes, or as many as are taken, again and again.
fn storm(port: u16, is_over: &AtomicBool, connections: &AtomicU64, bytes: &dyn Fn(u64) -> Vec<u8>) {
    while !is_over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        let number = connections.fetch_add(1, Ordering::Relaxed);
        // The publisher's greeting and its type: subscriptions before them are lost with the connection.
        if stream.write_all(&handshake()).is_err() || stream.read_exact(&mut [0; 64 + 2 + 26]).is_err() {
            continue;
        }
        while !is_over.load(Ordering::Relaxed) {
            let bytes = bytes(number);
            if bytes.is_empty() || stream.write_all(&bytes).is_err() {
                break;
            }
        }
    }
}

/// Ends the storms, also when the test fails.
struct StormsEnd<'a>(&'a AtomicBool);

impl Drop for StormsEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Return the resident memory of a process in kB.
fn memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn lines_arrive_during_storms_of_connections_subscriptions_and_cancellations_and_memory_is_bounded() {
    /// The lines that must arrive, and the connections of each kind during that.
    const LINES: u64 = 20;
    const CONNECTIONS: u64 = 5;
    /// The memory in kB that the publisher may gain.
    const MORE_MEMORY: u64 = 60_000;
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let address = free_address();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let mut child = start(&address);
    let mut stdin = child.stdin.take().unwrap();
    let subscriber = Context::new().socket(SocketType::SUB).unwrap();
    subscriber.set_rcvtimeo(30_000).unwrap();
    subscriber.set_subscribe(b"").unwrap();
    subscriber.connect(&address).unwrap();
    let mut arrives = |line: &str| {
        writeln!(stdin, "{line}").unwrap();
        while subscriber.recv_multipart(0).expect("a line")[1] != format!("{line}\n").as_bytes() {}
    };
    arrives("before the storm");
    let before = memory(&child);
    let topics = AtomicU64::new(0);
    let topic = || format!("{:0>200}", topics.fetch_add(1, Ordering::Relaxed).reverse_bits());
    let many = |make: &dyn Fn() -> Vec<u8>| (0..200).flat_map(|_| make()).collect::<Vec<u8>>();
    let only_connects = |_| Vec::new();
    let subscribes = |_| many(&|| frame(1, &topic()));
    let cancels_everything = |_| many(&|| frame(0, ""));
    let cancels_others = |_| many(&|| [frame(1, &topic()), frame(0, "others")].concat());
    let kinds: [&(dyn Fn(u64) -> Vec<u8> + Sync); 4] =
        [&only_connects, &subscribes, &cancels_everything, &cancels_others];
    let is_over = AtomicBool::new(false);
    let counts = kinds.map(|_| AtomicU64::new(0));
    thread::scope(|scope| {
        for (kind, count) in kinds.iter().zip(&counts) {
            let is_over = &is_over;
            scope.spawn(move || storm(port, is_over, count, kind));
        }
        let _end = StormsEnd(&is_over);
        let mut lines = 0;
        while lines < LINES || counts.iter().any(|count| count.load(Ordering::Relaxed) < CONNECTIONS) {
            lines += 1;
            arrives(&format!("line in the storm {lines}."));
        }
    });
    arrives("after the storm");
    let gained = memory(&child).saturating_sub(before);
    assert!(gained < MORE_MEMORY, "{gained} kB");
    drop(stdin);
    assert_eq!(finish(child).1, "");
}
