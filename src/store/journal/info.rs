//! The size and content of a journal, and a search for damage. It never repairs anything.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{History, JournalError, fold, load, lock, message_index, row, schema};
use nowcast_core::{Cycle, Number, Run};

/// The most problems that a check lists: a damaged database has any number of them.
const MAX_PROBLEMS: usize = 20;

/// The size and content of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalInfo {
    /// The database.
    pub file: PathBuf,
    /// The version of its format.
    pub version: i64,
    /// Bytes of the database file.
    pub bytes: u64,
    /// Bytes of the database file that hold nothing; compacting the journal gives them back.
    pub free_bytes: u64,
    /// Bytes of the log beside the database, which the manager puts into it while it is idle.
    pub log_bytes: u64,
    /// How many events it has.
    pub events: u64,
    /// How many runs it has.
    pub runs: u64,
    /// The first event and the last one, and when they were.
    pub first_and_last: Option<[(Number, Timestamp); 2]>,
}

impl History {
    /// Return the size and content of the journal.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn info(&self) -> Result<JournalInfo, JournalError> {
        self.ask(|connection| of(connection, &self.file))
    }

    /// Search for damage; return what was found, at most some of it. Without damage the list is empty.
    ///
    /// # Errors
    ///
    /// If the database cannot be read at all.
    pub fn check(&self) -> Result<Vec<String>, JournalError> {
        // Before the database is read: a manager that runs may commit meanwhile.
        let noted = self.file.parent().and_then(lock::last_event);
        self.ask(|connection| {
            let mut problems = problems(connection, schema::VERSION)?;
            let last = load::last_event(connection)?;
            if let Some(noted) = noted.filter(|noted| *noted > last) {
                problems.push(format!(
                    "events are missing: the last one is {}, and {} was committed",
                    Number(last),
                    Number(noted)
                ));
            }
            problems.truncate(MAX_PROBLEMS);
            Ok(problems)
        })
    }
}

/// Return the size and content of a database.
pub(super) fn of(connection: &Connection, file: &Path) -> rusqlite::Result<JournalInfo> {
    let size = |file: &Path| fs::metadata(file).map_or(0, |found| found.len());
    Ok(JournalInfo {
        file: file.to_owned(),
        version: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        bytes: size(file),
        free_bytes: free_bytes(connection)?,
        log_bytes: size(&schema::beside(file, "-wal")),
        events: count(connection, "events")?,
        runs: count(connection, "runs")?,
        first_and_last: first_and_last(connection)?,
    })
}

/// Return how many bytes of a database hold nothing.
pub(super) fn free_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma| {
        connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
    };
    Ok(number("freelist_count")? * number("page_size")?)
}

/// Return what is wrong in a database of a version, at most some of it. What an earlier version means is known only once it is brought up
/// to date.
pub(super) fn problems(connection: &Connection, version: i64) -> rusqlite::Result<Vec<String>> {
    let mut problems = damage(connection)?;
    if version == schema::VERSION {
        problems.extend(unreadable_events(connection)?);
        problems.extend(message_index::missing(connection, MAX_PROBLEMS)?.iter().map(|event| {
            format!("event {event}: the key of its message is missing, so the message would be decided again")
        }));
        problems.extend(invalid_cycles(connection)?);
        problems.extend(load::open(connection).err().map(|error| format!("open entries: {error}")));
        let folded = fold::after(connection, Number(u64::MAX));
        match folded.and_then(|_| fold::wrong_snapshots(connection)) {
            Ok(wrong) => problems.extend(wrong.iter().map(|event| {
                format!(
                    "the checklist or the notes after event {event} are not what the events before lead to"
                )
            })),
            Err(error) => problems.push(format!("the checklist and the notes: {error}")),
        }
        problems.extend(unreadable_runs(connection)?);
    }
    Ok(problems)
}

fn count(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let count =
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))?;
    Ok(count.cast_unsigned())
}

fn first_and_last(connection: &Connection) -> rusqlite::Result<Option<[(Number, Timestamp); 2]>> {
    let event = |order: &str| {
        let statement = format!("SELECT number, at FROM events ORDER BY number {order} LIMIT 1");
        connection
            .query_row(&statement, [], |row| {
                Ok((row::number(row, "number")?, row::moment(&row.get::<_, String>("at")?)?.timestamp()))
            })
            .optional()
    };
    Ok(event("ASC")?.zip(event("DESC")?).map(|(first, last)| [first, last]))
}

/// Return what SQLite finds.
fn damage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|text| text != "ok").collect())
}

/// Return the labels of cycles that are invalid. Those of messages are read with their events, but closed runs and what changed the notes are not.
fn invalid_cycles(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT 'event' AS what, number AS id, cycle FROM events WHERE cycle IS NOT NULL AND kind <> 'message'
         UNION ALL SELECT 'run', id, cycle FROM runs WHERE cycle IS NOT NULL
         UNION ALL SELECT 'run', id, body ->> '$.cycle' FROM runs
         WHERE json_valid(body) AND body ->> '$.cycle' IS NOT NULL AND body ->> '$.cycle' IS NOT cycle",
    )?;
    let mut rows = statement.query([])?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        let (what, number): (String, _) = (row.get("what")?, row::number(row, "id")?);
        let error = Cycle::parse(&row.get::<_, String>("cycle")?).err();
        problems.extend(error.map(|error| format!("{what} {number}: {error}")));
        if problems.len() == MAX_PROBLEMS {
            break;
        }
    }
    Ok(problems)
}

/// Return the runs that cannot be read.
fn unreadable_runs(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT id, body FROM runs ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        if let Err(error) = load::body::<Run>(row) {
            problems.push(format!("run {}: {error}", row::number(row, "id")?));
            if problems.len() == MAX_PROBLEMS {
                break;
            }
        }
    }
    Ok(problems)
}

/// Return the events that cannot be read.
fn unreadable_events(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("SELECT {} FROM events ORDER BY number", row::EVENT))?;
    let mut rows = statement.query([])?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        if let Err(error) = row::record(row) {
            problems.push(format!("event {}: {error}", row::number(row, "number")?));
            if problems.len() == MAX_PROBLEMS {
                break;
            }
        }
    }
    Ok(problems)
}
