//! `nowcast journal`: what the journal has, and how it becomes smaller.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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

/// Give a system the journal of an earlier month. Return the journal's folder.
fn copy_old_journal(system: &System) -> PathBuf {
    let folder = system.path("checklist.journal");
    fs::create_dir_all(&folder).expect("a folder");
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-1/journal.sqlite");
    fs::copy(fixture, folder.join("journal.sqlite")).expect("copied");
    folder
}

/// A system with the journal of an earlier month, which its manager has migrated.
fn with_old_journal() -> System {
    let mut system = system().prepare();
    copy_old_journal(&system);
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
    assert!(text.contains("kept     entries 400d, outputs 30d\n"), "{text}");
    let bytes = |key: &str| info[key].as_u64().expect("a number");
    let kinds: u64 =
        info["kinds"].as_array().expect("a list").iter().filter_map(|kind| kind["bytes"].as_u64()).sum();
    assert!(kinds <= bytes("bytes") + bytes("log_bytes"), "{info}");
    assert!(info["growth"][0]["events"].as_u64() > Some(0), "{info}");
    let text = system.operate(&["journal", "check"]);
    assert!(text.contains("no damage found"), "{text}");
}

#[test]
fn a_manager_that_runs_prunes_when_it_is_asked_and_says_what_it_removed() {
    let system = with_old_journal();
    system.works();
    let preview = json(&system, &["journal", "prune", "--keep", "1d", "--dry-run"]);
    assert!(preview["events"].as_u64() > Some(0), "{preview}");
    assert_eq!(json(&system, &["journal", "info"])["first_event"]["number"], 1, "nothing was removed");
    let text = system.operate(&["journal", "prune", "--keep", "1d"]);
    assert!(text.contains("as soon as the manager is idle"), "{text}");
    system.wait_for_log("manager", "events and 1 run, older than it keeps; ");
    system.works();
    let check = json(&system, &["journal", "check"]);
    assert_eq!(check["problems"].as_array().map(Vec::len), Some(0), "{check}");
}

#[test]
fn old_outputs_are_removed_by_themselves_and_the_log_says_so() {
    let mut system = system().prepare();
    let folder = copy_old_journal(&system);
    // Of its four runs, three are open: they have ended meanwhile, and so are not old.
    for run in [3, 4, 8, 12] {
        let folder = folder.join(format!("runs/2026-03-14/{run}"));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("output.log"), "output\n").expect("written");
        fs::write(folder.join("exit"), r#"{"status":0,"ended":"2026-03-14T12:41:00Z"}"#).expect("written");
    }
    system.start_broker();
    system.start_manager(&[]);
    system.wait_for_log("manager", "removed the outputs of 1 run, older than the journal keeps: ");
    let is_there = |run: u32| folder.join(format!("runs/2026-03-14/{run}")).exists();
    assert_eq!([3, 4, 8, 12].map(is_there), [false, true, true, true]);
    let info = json(&system, &["journal", "info"]);
    assert_eq!(info["first_event"]["number"], 1, "entries are kept for 400 days: {info}");
}

#[test]
fn it_is_compacted_only_while_no_manager_runs() {
    let mut system = with_old_journal();
    let (status, text) = system.operation(&["journal", "compact"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains(&format!("a manager (process {}) uses the journal", system.id("manager"))),
        "{text}"
    );
    assert!(text.contains("Stop it first"), "{text}");
    // One message makes pages that are free later.
    let large = "0123456789".repeat(200_000);
    assert_eq!(system.send("sleep", "success", &format!("'{large}'")), "ack");
    stop_manager(&mut system);
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
    assert!(text.contains("is damaged:\n  event #5: ") && text.contains("Restore a backup with"), "{text}");
    let (status, text) = system.operation(&["journal", "check", "--json"]);
    assert_eq!(status, Some(1), "{text}");
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["problems"].as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn a_copy_from_before_an_upgrade_is_the_way_back() {
    let mut system = with_old_journal();
    system.works();
    let copy = "checklist.journal/journal.version-1.sqlite";
    system.wait_for_log("manager", "A copy from before is kept for 30 days: ");
    let database = rusqlite::Connection::open(system.path(copy)).expect("the copy");
    let version: i64 =
        database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    let events: i64 =
        database.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).expect("counted");
    assert_eq!((version, events), (1, 13));
    drop(database);
    let mode = fs::metadata(system.path(copy)).expect("the copy").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    // A nowcast that does not know the journal's version refuses it, and says what to do.
    stop_manager(&mut system);
    let journal =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the journal");
    journal.pragma_update(None, "user_version", 99).expect("set");
    drop(journal);
    let (status, text) = system.operation(&["manager", "nowcast.yaml"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("has version 99, and this program knows versions up to"), "{text}");
    assert!(text.contains("restore a backup from before the upgrade with \"nowcast restore\""), "{text}");
    system.operate(&["restore", copy]);
    system.start_manager(&[]);
    system.works();
    let check = json(&system, &["journal", "check"]);
    assert_eq!(check["problems"].as_array().map(Vec::len), Some(0), "{check}");
}

#[test]
fn a_snapshot_that_its_events_do_not_lead_to_is_found() {
    let mut system = system().start();
    for day in 0..3 {
        assert_eq!(system.send("sleep", "success", &format!("{{day: {day}}}")), "ack");
    }
    stop_manager(&mut system);
    let database =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the database");
    let put = "INSERT INTO snapshots (event, changed_by, checklist) SELECT max(number), max(number), ?1 FROM events";
    let problems = |checklist: &str| {
        database.execute("DELETE FROM snapshots WHERE event > 0", []).expect("removed");
        database.execute(put, [checklist]).expect("put");
        let (_, text) = system.operation(&["journal", "check", "--json"]);
        let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        found["problems"].as_array().map(Vec::len)
    };
    assert_eq!(problems("{sleepyhead: {day: 2}}"), Some(0));
    assert_eq!(problems("{sleepyhead: {day: 3}}"), Some(1));
}
