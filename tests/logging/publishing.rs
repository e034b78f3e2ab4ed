//! Lines that are published: many at once, and more than can wait.

use std::io::{BufRead, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
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
    while !next_line().contains("a program subscribed to more than 10000 topics of the log messages") {}
    // It subscribes again to everything at its next connection, so it goes first.
    drop(greedy);
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
