//! `nowcast journal`: what the journal has, and how it becomes smaller.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::support::system::{System, system};

fn stop_manager(system: &mut System) {
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
}

fn json(system: &System, arguments: &[&str]) -> serde_json::Value {
    let text = system.operate(&[arguments, &["--json"]].concat());
    serde_json::from_str(&text).expect("JSON")
}

/// A system with the journal of an earlier month, which its manager has migrated.
fn with_old_journal() -> System {
    let mut system = system().prepare();
    let folder = system.path("checklist.journal");
    fs::create_dir_all(&folder).expect("a folder");
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-1/journal.sqlite");
    fs::copy(fixture, folder.join("journal.sqlite")).expect("copied");
    system.start_broker();
    system.start_manager(&[]);
    system
}

#[test]
fn its_size_and_content_are_shown_while_the_manager_runs() {
    let system = with_old_journal();
    system.works();
    let info = json(&system, &["journal", "info"]);
    assert!(info["bytes"].as_u64().is_some_and(|bytes| bytes > 4_096), "{info}");
    assert!(info["events"].as_u64().is_some_and(|events| events > 13), "{info}");
    assert_eq!(info["first_event"]["number"], 1, "{info}");
    assert_eq!(info["manager"], system.id("manager"), "{info}");
    let text = system.operate(&["journal", "info"]);
    assert!(text.contains(&format!("manager  process {}\n", system.id("manager"))), "{text}");
    assert!(text.contains("`journal: keep:` is not set"), "{text}");
    let text = system.operate(&["journal", "check"]);
    assert!(text.contains("no damage found"), "{text}");
}

#[test]
fn it_is_pruned_and_compacted_only_while_no_manager_runs() {
    let mut system = with_old_journal();
    for command in [&["journal", "prune", "--keep", "1d"][..], &["journal", "compact"]] {
        let (status, text) = system.operation(command);
        assert_eq!(status, Some(1), "{text}");
        assert!(
            text.contains(&format!("a manager (process {}) uses the journal", system.id("manager"))),
            "{text}"
        );
        assert!(text.contains("Stop it first"), "{text}");
    }
    // One message makes pages that are free later.
    let large = "0123456789".repeat(200_000);
    assert_eq!(system.send("sleep", "success", &format!("'{large}'")), "ack");
    stop_manager(&mut system);
    let (status, text) = system.operation(&["journal", "prune"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("`journal: keep:` is not set; use --keep"), "{text}");
    let before = json(&system, &["journal", "info"]);
    assert_eq!(before["manager"], serde_json::Value::Null);
    let pruned = json(&system, &["journal", "prune", "--keep", "1d"]);
    let removed = pruned["removed_events"].as_u64().expect("a number");
    assert!(removed > 0, "{pruned}");
    let after = json(&system, &["journal", "info"]);
    let events = |info: &serde_json::Value| info["events"].as_u64().expect("a number");
    assert_eq!(events(&after), events(&before) - removed);

    let database =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the database");
    // As pruning does it when the message is old.
    database.execute("DELETE FROM snapshots WHERE event = 0", []).expect("removed");
    database.execute("UPDATE events SET body = NULL WHERE length(body) > 1000000", []).expect("removed");
    let file = system.path("checklist.journal/journal.sqlite");
    let size = || fs::metadata(&file).expect("the database").len();
    assert!(size() > 2_000_000, "{}", size());
    // A program that reads an earlier state, such as `nowcast rules replay`.
    database.execute_batch("BEGIN; SELECT count(*) FROM events;").expect("read");
    let (status, text) = system.operation(&["journal", "compact"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("its file is not smaller, since another program reads it"), "{text}");
    drop(database);
    let compacted = json(&system, &["journal", "compact"]);
    let [before, bytes] = ["bytes_before", "bytes"].map(|key| compacted[key].as_u64().expect("a number"));
    assert!(bytes <= before && bytes < 1_000_000, "{compacted}");
    assert_eq!(size(), bytes);
    system.start_manager(&[]);
    system.works();
    let text = system.operate(&["journal", "info"]);
    assert!(text.contains("kept     forever"), "{text}");
}

#[test]
fn damage_is_shown_and_is_a_failure() {
    let mut system = with_old_journal();
    stop_manager(&mut system);
    let database =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the database");
    database.execute("UPDATE events SET at = 'yesterday' WHERE number = 5", []).expect("damaged");
    drop(database);
    let (status, text) = system.operation(&["journal", "check"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("is damaged:\n  event #5: ") && text.contains("Restore the journal's folder"),
        "{text}"
    );
    let (status, text) = system.operation(&["journal", "check", "--json"]);
    assert_eq!(status, Some(1), "{text}");
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["problems"].as_array().map(Vec::len), Some(1), "{found}");
}
