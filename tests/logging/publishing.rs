//! Lines that are published: many at once, and more than can wait.

use std::io::Write;
use std::net::TcpListener;

use zmq::{Context, SocketType};

use crate::child::{Script, finish, text};

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
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let socket = Context::new().socket(SocketType::SUB).unwrap();
    socket.set_subscribe(b"").unwrap();
    socket.set_rcvtimeo(30_000).unwrap();
    socket.connect(&address).unwrap();
    let script = Script::default()
        .step("publish", &[&text("manager"), &text(&address)])
        .log("manager", 20, "here I am")
        .step("wait", &[])
        .step("many", &[&text("manager"), &COUNT.to_string()])
        .step("finish", &[]);
    let mut child = script.start(folder.path(), None);
    let next = || socket.recv_multipart(0).unwrap();
    assert_eq!(next(), [b"manager.INFO".to_vec(), b"here I am\n".to_vec()]);
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    for number in 0..COUNT {
        assert_eq!(next(), [b"manager.INFO".to_vec(), format!("{}\n", record(number)).into_bytes()]);
    }
    let (_, stderr) = finish(child.wait_with_output().unwrap());
    assert_eq!(stderr, "");
}

#[test]
fn what_nobody_takes_is_shown_whole_and_in_order_however_much_it_is() {
    // 7 MB; 4 MB can wait.
    const COUNT: u32 = 6_000;
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let (stdout, stderr) = Script::default()
        .step("publish", &[&text("manager"), &text(&address)])
        .step("many", &[&text("manager"), &COUNT.to_string()])
        .step("finish", &[])
        .run(folder.path(), None);
    assert_eq!(stdout, "");
    let said = format!(
        "nowcast: nobody has taken log lines from {address}; is the log aggregator running? They are shown here:\n"
    );
    let mut rest = stderr.strip_prefix(&said).unwrap_or_else(|| panic!("{}", &stderr[..500]));
    for number in 0..COUNT {
        let (_, line) = rest.split_once(" INFO [manager] ").unwrap();
        rest = line.strip_prefix(&record(number)).unwrap_or_else(|| panic!("{number} is not whole"));
    }
    assert_eq!(rest, "\n");
}
