//! The rows of a journal: whatever stands in them, a manager and the commands that read say what is wrong and go on.

use std::fs;
use std::path::Path;

use nowcast::store::journal::{EventFilter, RunFilter, RunState};
use nowcast::store::{History, Journal};
use nowcast_core::{Number, State};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use tempfile::TempDir;

use super::input::Input;
use super::system::System;

/// The columns of the tables; the first one is the key.
const TABLES: [(&str, &[&str]); 9] = [
    (
        "events",
        &[
            "number",
            "at",
            "kind",
            "worker",
            "type",
            "speaker",
            "ticket_epoch",
            "ticket_number",
            "message_id",
            "run",
            "outcome",
            "generation",
            "rule_location",
            "keys_read",
            "reply",
            "reply_payload",
            "user",
            "answer",
            "detail",
            "checklist",
            "body",
            "cycle",
            "notes",
        ],
    ),
    ("runs", &["id", "worker", "args", "cause", "changed_by", "is_open", "succeeded", "body", "cycle"]),
    ("joins", &["id", "closed_by", "body"]),
    ("parked", &["id", "closed_by", "body"]),
    ("holds", &["id", "closed_by", "body"]),
    ("rules", &["generation", "hash", "loaded_by", "refused", "refused_by"]),
    ("snapshots", &["event", "changed_by", "checklist", "notes"]),
    ("scheduled", &["item", "due"]),
    ("expectations", &["worker", "type", "body"]),
];

thread_local! {
    static JOURNAL: TempDir = journal_in_use();
}

/// A journal with every kind of row.
fn journal_in_use() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&System::in_use().records).expect("room for the records");
    folder
}

/// Steps that change a cell each: table, column, row, and how it is changed.
pub fn check(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    JOURNAL.with(|journal| {
        for entry in fs::read_dir(journal.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
        }
    });
    change(&folder.path().join("journal.sqlite"), data).expect("the tables and columns exist");
    read(folder.path());
    go_on(folder.path());
}

fn change(file: &Path, data: &[u8]) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "synchronous", "off")?;
    let mut input = Input(data);
    connection.execute_batch("BEGIN")?;
    while !input.is_empty() {
        let (table, columns) = TABLES[usize::from(input.byte()) % TABLES.len()];
        let column = columns[usize::from(input.byte()) % columns.len()];
        let row = format!("rowid IN (SELECT rowid FROM {table} LIMIT 1 OFFSET {})", input.byte() % 16);
        let (with, cells) = match input.byte() % 6 {
            0 => ("NULL", Vec::new()),
            1 => (
                "?1",
                vec![Cell::Integer(input.bytes().iter().fold(0, |sum, byte| (sum << 8) | i64::from(*byte)))],
            ),
            2 => ("?1", vec![Cell::Integer(i64::from(input.byte()) - 128)]),
            // Text need not be UTF-8.
            3 => ("CAST(?1 AS TEXT)", vec![Cell::Blob(input.bytes().to_vec())]),
            4 => ("?1", vec![Cell::Blob(input.bytes().to_vec())]),
            _ => (
                "replace(CAST({} AS TEXT), CAST(?1 AS TEXT), CAST(?2 AS TEXT))",
                vec![Cell::Blob(input.bytes().to_vec()), Cell::Blob(input.bytes().to_vec())],
            ),
        };
        let with = with.replace("{}", column);
        let statement = format!("UPDATE {table} SET {column} = {with} WHERE {row}");
        // Values that the table cannot hold are refused by SQLite.
        let _ = connection.prepare_cached(&statement)?.execute(rusqlite::params_from_iter(cells));
    }
    connection.execute_batch("COMMIT")
}

/// Everything that commands read.
fn read(folder: &Path) {
    let history = match History::open(folder) {
        Ok(history) => history,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let events = history.events(&EventFilter::default()).unwrap_or_default();
    for event in &events {
        let _ = (history.event(event.number), history.numbered(event.number), history.joins_of(event.number));
        let _ =
            (history.parked_until(event.number), history.command_after(event.number), history.steady(event));
        let _ = (history.checklist_before(event.number), history.launched_by(&[event.number]));
        let _ = history.cycles_before(event.number);
    }
    for state in [RunState::Any, RunState::Open, RunState::Failed] {
        for run in history.runs(&RunFilter { state, ..RunFilter::default() }).unwrap_or_default() {
            let _ = (history.run(run.id), history.message_of_run(&run), history.runs_caused_by(run.cause));
            let _ = (history.usual_duration(run.worker.name(), &run.worker.args), history.join(run.id));
        }
    }
    let _ = (
        history.open_now().map(|open| open.changes().count()),
        history.checklist_now(),
        history.cycles_now(),
    );
    let _ = (history.rules_in_force(), history.rule_files(1), history.last_event(), history.clock());
    let _ = (
        history.last_clock_step(),
        history.acknowledged_since(Number(0)),
        history.last_scheduled("upload", "upload"),
    );
}

/// A manager that starts with it, and the next events.
fn go_on(folder: &Path) {
    let mut journal = match Journal::open(folder) {
        Ok(journal) => journal,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let _ = journal.find_previous_reply(None, Some(("weather", "id 1")));
    let recovered = match journal.load() {
        Ok(recovered) => recovered,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let policy = System::in_use().policy();
    let state = State::recovered(
        policy,
        recovered.checklist,
        recovered.cycles,
        recovered.changes,
        recovered.last_number,
        recovered.last_event,
    );
    let mut system = System::resume(state);
    system.pass(120);
    system.receive(b"{source: rivers, type: success, payload: {rule: launch}}");
    system.pass(20_000);
    if let Err(error) = journal.commit(&system.records) {
        assert!(!error.to_string().is_empty());
    }
}
