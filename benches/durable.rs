//! How fast messages are acknowledged that are on the disk before they are: `cargo bench --bench durable`.
//!
//! Prints figures as ratios to what any such system must pay on this machine, measured in the same run: one SQLite
//! commit of one row, and an echo through a bare ZeroMQ proxy that makes such a commit before each reply. Fails on nothing.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use support::system::{System, free_ports, system};

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(4);

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let commit = bare_commits();
    println!("one SQLite commit of one row: {commit:?}");
    let echo = echo_with_commit();
    println!("echo through a proxy with such a commit, one at a time: {echo:.0}/s");
    let in_flight = [1, 64, 512];
    let [small, large] = [(1_000, "1 kB"), (5_000_000, "5 MB")].map(|(size, text)| {
        let system = system().start();
        fill_checklist(&system, size);
        in_flight.map(|in_flight| {
            let rate = acks(&system.context, system.workers_port, in_flight);
            let per_commit = rate * commit.as_secs_f64();
            println!(
                "checklist of {text}, {in_flight} in flight: {rate:.0} acks/s, {per_commit:.2} a commit"
            );
            if in_flight == 1 {
                println!("  {:.2} of the echo", rate / echo);
            }
            rate
        })
    });
    for ((in_flight, small), large) in in_flight.into_iter().zip(small).zip(large) {
        println!("5 MB : 1 kB, {in_flight} in flight: {:.2}", large / small);
    }
}

/// A database as the journal's, with a table of one column.
fn database(folder: &std::path::Path) -> Connection {
    let connection = Connection::open(folder.join("bare.sqlite")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (body TEXT) STRICT;",
        )
        .expect("a table");
    connection
}

fn insert(connection: &Connection) {
    let body = "payload: {sleep time: 5}\nsource: sleep\ntype: success\n";
    connection
        .prepare_cached("INSERT INTO rows VALUES (?1)")
        .expect("a statement")
        .execute([body])
        .expect("a row");
}

/// The median time of a commit of one row.
fn bare_commits() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = database(folder.path());
    let mut times: Vec<Duration> = Vec::new();
    let end = Instant::now() + MEASURED;
    while Instant::now() < end {
        let start = Instant::now();
        insert(&connection);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Replies a second of an echo behind a bare proxy, which commits a row before each.
fn echo_with_commit() -> f64 {
    let (manager_port, workers_port) = free_ports();
    let context = zmq::Context::new();
    let (front, back) =
        (context.socket(zmq::ROUTER).expect("a socket"), context.socket(zmq::DEALER).expect("a socket"));
    front.bind(&format!("tcp://127.0.0.1:{workers_port}")).expect("bound");
    back.bind(&format!("tcp://127.0.0.1:{manager_port}")).expect("bound");
    let echo = context.socket(zmq::REP).expect("a socket");
    echo.connect(&format!("tcp://127.0.0.1:{manager_port}")).expect("a connection");
    // Both end with the process.
    std::thread::spawn(move || zmq::proxy(&front, &back));
    std::thread::spawn(move || {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = database(folder.path());
        while let Ok(body) = echo.recv_bytes(0) {
            insert(&connection);
            if echo.send(body, 0).is_err() {
                break;
            }
        }
    });
    acks(&context, workers_port, 1)
}

fn fill_checklist(system: &System, size: usize) {
    let text = "x".repeat(50);
    let entries: Vec<String> = (0..size / 65).map(|number| format!("entry {number}: {text}")).collect();
    for part in entries.chunks(5_000) {
        assert_eq!(system.send("sleep", "success", &format!("{{{}}}", part.join(", "))), "ack");
    }
}

/// Replies a second with so many requests open.
fn acks(context: &zmq::Context, port: u16, in_flight: u32) -> f64 {
    let client = context.socket(zmq::DEALER).expect("a socket");
    client.set_linger(0).expect("an option");
    client.connect(&format!("tcp://127.0.0.1:{port}")).expect("a connection");
    let request = ["", "payload: {sleep time: 5}\nsource: sleep\ntype: success\n"];
    for _ in 0..in_flight {
        client.send_multipart(request, 0).expect("sent");
    }
    let mut count = 0_u32;
    let start = Instant::now();
    while start.elapsed() < MEASURED {
        client.recv_multipart(0).expect("a reply");
        client.send_multipart(request, 0).expect("sent");
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    for _ in 0..in_flight {
        client.recv_multipart(0).expect("a reply");
    }
    rate
}
