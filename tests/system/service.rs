//! Daemons notify systemd when they are ready, and send the keep-alives of its watchdog.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::system::{System, system};

/// The socket on which systemd would receive.
fn socket(system: &System) -> UnixDatagram {
    let socket = UnixDatagram::bind(system.path("notify")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("an option");
    socket
}

fn start(system: &mut System, daemon: &str) {
    let mut command = system.command(&[daemon, "nowcast.yaml"]);
    // The watchdog's timeout is 1 s.
    command.env("NOTIFY_SOCKET", system.path("notify")).env("WATCHDOG_USEC", "1000000");
    system.spawn(daemon, command);
}

fn receive(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 200];
    let length = socket.recv(&mut bytes).expect("a report within the deadline");
    String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned()
}

#[test]
fn each_daemon_notifies_that_it_is_ready_and_then_sends_keep_alives() {
    let mut system = system().section("scheduled workers:\n  - sleep: {every: day, at: '05:15'}").prepare();
    for daemon in ["broker", "manager", "scheduler"] {
        let socket = socket(&system);
        start(&mut system, daemon);
        let reports: Vec<String> = (0..4).map(|_| receive(&socket)).collect();
        assert_eq!(reports, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"], "{daemon}");
        drop(socket);
        std::fs::remove_file(system.path("notify")).expect("removed");
    }
    // The socket is gone, and they go on.
    system.works();
}

#[test]
fn a_manager_is_ready_when_it_decides_messages_and_also_while_its_journal_cannot_be_written() {
    let mut system = system().prepare();
    system.start_broker();
    let socket = socket(&system);
    start(&mut system, "manager");
    assert_eq!(receive(&socket), "READY=1");
    system.works();
    let database =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("a journal");
    database.execute_batch("BEGIN IMMEDIATE").expect("locked, as by a backup");
    let client = system.connect();
    client.send("{source: sleep, type: success, payload: null}", 0).expect("sent");
    system.wait_for_log("manager", "CRITICAL [manager] the journal cannot be written");
    while socket.set_nonblocking(true).is_ok() && socket.recv(&mut [0; 200]).is_ok() {}
    socket.set_nonblocking(false).expect("an option");
    let reports: BTreeSet<String> = (0..2).map(|_| receive(&socket)).collect();
    assert_eq!(reports, BTreeSet::from(["WATCHDOG=1".to_owned()]));
    database.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(system.receive(&client).r#type, "ack");
}
