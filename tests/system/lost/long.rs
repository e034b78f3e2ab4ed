//! A million messages in the journal: a manager starts as with none, and a message costs what it costs.
//!
//! Nothing is timed: what a process reads and writes says whether it looks through what it has.

use std::fs;

use rusqlite::Connection;

use crate::support::system::{System, system};

/// Messages in the long journal.
const MESSAGES: u64 = 1_000_000;

/// Messages whose cost is looked at.
const MEASURED: u64 = 200;

/// Bytes that a manager has read and written so far, from files and sockets alike.
fn traffic(system: &System) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{}/io", system.id("manager"))).expect("it runs");
    let count = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().parse().expect("a number")
    };
    (count("rchar:"), count("wchar:"))
}

/// Bytes read at the start, and read and written for the messages after it.
fn cost(system: &mut System) -> (u64, u64, u64) {
    system.start_manager(&[]);
    system.works();
    let (read_at_start, _) = traffic(system);
    let before = traffic(system);
    for number in 0..MEASURED {
        assert_eq!(system.send("sleep", "success", &format!("{{number: {number}}}")), "ack");
    }
    let after = traffic(system);
    system.signal("manager", rustix::process::Signal::TERM);
    assert!(system.wait_for_end("manager").success());
    (read_at_start, after.0 - before.0, after.1 - before.1)
}

/// Copies one message a million times, with a ticket of its own each, and a snapshot of the checklist behind them, as
/// there would be.
fn lengthen(system: &System) {
    let folder = system.path("checklist.journal");
    let journal = Connection::open(folder.join("journal.sqlite")).expect("the database");
    let columns =
        "kind, worker, type, speaker, outcome, generation, rule_location, keys_read, reply, checklist, body";
    journal
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             CREATE TEMP TABLE first AS SELECT max(number) AS number FROM events;
             WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < {MESSAGES})
             INSERT INTO events (number, at, ticket_epoch, ticket_number, {columns})
                 SELECT first.number + n, at, 1, n, {columns} FROM count, first
                 JOIN events ON events.number = (SELECT max(number) FROM events WHERE type = 'success' AND checklist IS NOT NULL);
             INSERT INTO tickets (epoch, number, event)
                 SELECT ticket_epoch, ticket_number, number FROM events WHERE ticket_epoch = 1;
             UPDATE indexed SET event = (SELECT max(number) FROM events);
             INSERT INTO snapshots (event, changed_by, checklist)
                 SELECT max(number), max(number), 'sleepyhead:\n  number: 199\n' FROM events;
             COMMIT;
             PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .expect("a long journal");
    let count: i64 = journal.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).expect("counted");
    assert!(count.unsigned_abs() > MESSAGES);
}

#[test]
fn a_million_messages_make_neither_the_start_nor_a_message_dearer() {
    let mut system = system().prepare();
    system.start_broker();
    let short = cost(&mut system);
    lengthen(&system);
    let size = fs::metadata(system.path("checklist.journal/journal.sqlite")).expect("the database").len();
    let long = cost(&mut system);
    assert!(long.0 < short.0 + 1_000_000, "at the start {long:?}, with a short journal {short:?}");
    assert!(long.0 < size / 100, "{} of {size} bytes are read at the start", long.0);
    // A tree of a million leaves is a page or two deeper.
    assert!(long.1 < 2 * short.1 + 1_000_000, "read {long:?}, with a short journal {short:?}");
    assert!(long.2 < short.2 * 3 / 2, "written {long:?}, with a short journal {short:?}");
}
