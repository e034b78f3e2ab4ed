//! The database: how it is made, opened, and brought up to date.
//!
//! A database is made under another name and renamed when it is whole, so an empty file under its name is
//! damage and never taken for a new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::JournalError;
use super::{decided_restore, migrate_notes};
use crate::failpoint;

/// The migration from each version to the next. Migrations are never edited, only added.
const MIGRATIONS: [&str; 9] = [
    include_str!("version_1.sql"),
    include_str!("version_2.sql"),
    include_str!("version_3.sql"),
    include_str!("version_4.sql"),
    include_str!("version_5.sql"),
    include_str!("version_6.sql"),
    include_str!("version_7.sql"),
    include_str!("version_8.sql"),
    include_str!("version_9.sql"),
];

/// The version that this program reads and writes.
pub(super) const VERSION: i64 = 9;

/// The versions of a journal before and after its migration, which can take minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The version of the program that wrote it.
    pub from: i64,
    /// The version of this program.
    pub to: i64,
}

/// Marks the database as a journal of nowcast: "nowc".
const APPLICATION: i64 = 0x6e6f_7763;

/// Timeout for the lock of another program on the database, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Statements that stay prepared.
const STATEMENTS: usize = 64;

/// Opens the database for its manager, made first if there is none. An older one is migrated, unless `before_migration` fails.
pub(super) fn open(
    file: &Path,
    before_migration: impl FnOnce(&Connection, Migration) -> Result<(), JournalError>,
) -> Result<Connection, JournalError> {
    let wrap = |error| JournalError::of(file, "open the journal", error);
    if !file.try_exists().map_err(|error| unusable(file, error))? {
        make(file)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(wrap)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap)?;
    let version = version(&connection, file)?;
    settle(&connection).map_err(wrap)?;
    if version < VERSION {
        before_migration(&connection, Migration { from: version, to: VERSION })?;
    }
    migrate(&mut connection, version).map_err(wrap)?;
    Ok(connection)
}

/// Opens the database for reading, beside its manager or without one.
pub(super) fn open_to_read(file: &Path) -> Result<Connection, JournalError> {
    let (connection, found) = open_to_copy(file)?;
    if found < VERSION {
        return Err(JournalError::Older { file: file.to_owned(), found, known: VERSION });
    }
    Ok(connection)
}

/// Opens a database of this version or an earlier one for reading. Return its version, too.
pub(super) fn open_to_copy(file: &Path) -> Result<(Connection, i64), JournalError> {
    let wrap = |error| JournalError::of(file, "read the journal", error);
    if !file.try_exists().map_err(|error| unusable(file, error))? {
        return Err(none(file));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(wrap)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap)?;
    // Folding the log into the database is the manager's.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(wrap)?;
    let found = version(&connection, file)?;
    Ok((connection, found))
}

/// The version of a database that is a journal and not too new.
fn version(connection: &Connection, file: &Path) -> Result<i64, JournalError> {
    let wrap = |error| JournalError::of(file, "open the journal", error);
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(wrap);
    if number("application_id")? != APPLICATION {
        let why = if fs::metadata(file).is_ok_and(|metadata| metadata.len() == 0) {
            "it is empty"
        } else {
            "it is a database, but no journal of nowcast"
        };
        return Err(JournalError::Damaged { file: file.to_owned(), why: why.to_owned() });
    }
    let found = number("user_version")?;
    if found > VERSION {
        return Err(JournalError::Newer { file: file.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

fn make(file: &Path) -> Result<(), JournalError> {
    if beside(file, "-wal").exists() {
        let why = "it is missing, though its -wal file is there".to_owned();
        return Err(JournalError::Damaged { file: file.to_owned(), why });
    }
    let new = beside(file, ".new");
    for left in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(&new, left)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(&new, error)),
            _ => {}
        }
    }
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
    options.map_err(|error| unusable(&new, error))?;
    fill(&new).map_err(|error| JournalError::of(&new, "make the journal", error))?;
    let put_in_place = || {
        File::open(&new)?.sync_all()?;
        fs::rename(&new, file)?;
        File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    put_in_place().map_err(|error| unusable(file, error))
}

fn fill(file: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    settle(&connection)?;
    migrate(&mut connection, 0)?;
    connection.close().map_err(|(_, error)| error)
}

/// How the manager's connection works.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // Each commit waits for the disk.
    connection.pragma_update(None, "synchronous", "full")?;
    // Checkpoints come when the loop is idle: within a commit they would delay its replies.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    // In kB. Most commits append to a table, so a few pages of each table are enough.
    connection.pragma_update(None, "cache_size", -2_048)
}

fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(from).unwrap_or(0);
    for (version, script) in (1_i64..).zip(MIGRATIONS).skip(done) {
        let step = connection.transaction()?;
        step.execute_batch(script)?;
        if version == migrate_notes::VERSION {
            migrate_notes::note_last_days(&step)?;
        }
        step.pragma_update(None, "application_id", APPLICATION)?;
        step.pragma_update(None, "user_version", version)?;
        failpoint::pass("journal: migrated");
        step.commit()?;
        failpoint::pass("journal: migration committed");
    }
    Ok(())
}

/// Why a database is missing.
fn none(file: &Path) -> JournalError {
    let file = file.to_owned();
    match file.parent().filter(|folder| decided_restore::exists_in(folder)) {
        Some(_) => JournalError::RestoreInterrupted { file },
        None => JournalError::None { file },
    }
}

fn unusable(file: &Path, error: io::Error) -> JournalError {
    JournalError::Unusable { file: file.to_owned(), error }
}

pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// An empty database of the current version.
#[cfg(test)]
pub(super) fn in_memory() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, 0).unwrap();
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables that each statement of a script reads to fill a table, as SQLite explains it. The script is executed.
    fn plans(connection: &Connection, script: &str) -> Vec<String> {
        let mut plans = Vec::new();
        for statement in script.split(";\n") {
            if statement.contains("INSERT OR IGNORE INTO") {
                let inserts = &statement[statement.find("INSERT").unwrap()..];
                let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {inserts}")).unwrap();
                let steps = explained.query_map([], |row| row.get::<_, String>("detail")).unwrap();
                plans.push(steps.collect::<Result<Vec<_>, _>>().unwrap().join("; "));
            }
            connection.execute_batch(statement).unwrap();
        }
        plans
    }

    #[test]
    fn the_migration_to_version_6_reads_the_indexes_in_their_order_and_not_the_events() {
        let connection = Connection::open_in_memory().unwrap();
        MIGRATIONS[..5].iter().for_each(|script| connection.execute_batch(script).unwrap());
        assert_eq!(
            plans(&connection, MIGRATIONS[5]),
            [
                "SEARCH events USING COVERING INDEX events_by_ticket (ticket_epoch>?)",
                "SEARCH events USING COVERING INDEX events_by_message_id (message_id>?)"
            ]
        );
    }
}
