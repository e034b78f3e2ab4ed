//! The journal: what happened, what is open and how the checklist came to be, in an SQLite database.
//!
//! Only the manager's [`Journal`] writes; [`History`] reads, also beside a running manager. A commit stores a whole batch on the
//! disk or nothing of it. The journal decides nothing, and it never overwrites a file that it cannot read.
//!
//! Each event is a row of `events` and is never changed. What is open (runs, joins, parked, held) has a row of
//! its own as it is now, which stays, marked as over, when it is. The checklist and the notes of messages are nowhere as a whole
//! but in snapshots that are made now and then; the events after one lead to those of any moment.

mod as_of;
mod attempts;
mod backup;
mod clock;
mod commit;
mod configurations;
mod decided_restore;
mod error;
mod filter;
mod find;
mod fold;
mod folder_stamp;
mod growth;
mod history;
mod info;
mod kept_versions;
mod load;
mod lock;
mod message_index;
mod migrate_notes;
mod order;
mod prune;
mod restore;
mod row;
mod schema;
mod stream;
mod tidy;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use attempts::{Attempt, AttemptEnd, ReceivedMessage};
pub use backup::{Backup, BackupError, backup};
pub use decided_restore::exists_in as is_restore_unfinished;
pub use error::JournalError;
pub use filter::{EventFilter, EventKind, RunFilter, RunState};
pub use find::{Acknowledgement, HistoricalRules, Kept, MessageOfCycle};
pub use growth::{PAYLOADS, WeekOfGrowth};
pub use history::{History, Numbered, OpenItems, RulesInForce};
pub use info::JournalInfo;
pub use kept_versions::{KEPT_FOR, path as kept_version, remove_old as remove_old_versions};
pub use load::Recovered;
pub use lock::holder;
pub use prune::{AgeLimits, OldEntries, OldOutputs};
pub use restore::{Restore, RestoreError, Restored};
pub use schema::Migration;
pub use stream::{CallHistory, CallInput, HistoricalCall, RuleOutcome};

use folder_stamp::FolderStamp;
use lock::Lock;
use message_index::MessageIndex;
use nowcast_core::{Number, Steady};
pub use tidy::RemovedEntries;
use tidy::SinceSnapshot;

/// The name of the database in the journal's folder.
const DATABASE: &str = "journal.sqlite";

/// The journal of one manager.
#[derive(Debug)]
pub struct Journal {
    // Closed before the lock is released.
    connection: Connection,
    lock: Lock,
    file: PathBuf,
    /// The files that are open: the database, its log and the index of that, and what made each the same file.
    open_files: Vec<(PathBuf, (u64, u64))>,
    /// The stamp that the folder had when all of them were in their places.
    checked: Option<FolderStamp>,
    /// The last event that was kept.
    last_event: u64,
    /// A commit failed, and it is not sure that nothing of it was kept.
    uncertain: bool,
    tail: SinceSnapshot,
    /// How many commits there were.
    commits: u32,
    /// Everything before that day was removed.
    pruned: Option<Steady>,
    /// What was removed and is not reported yet.
    removed: RemovedEntries,
    index: MessageIndex,
    /// The text of the configuration, if it is not kept yet.
    new_configuration: Option<String>,
}

impl Journal {
    /// Opens the journal in a folder, for this process alone; makes folder (mode 0700) and database if they
    /// are missing, brings an older database up to date, and finishes a restore that was interrupted.
    ///
    /// # Errors
    ///
    /// If another manager has it, it cannot be made, read or written, it is damaged, it lacks events that
    /// were kept, or a newer version of the program made it.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        Self::open_and(folder, |_, _| Ok(()))
    }

    /// As [`Journal::open`], for a manager: before an older database is brought up to date, `on_migration` is called, and a copy is kept
    /// beside it.
    ///
    /// # Errors
    ///
    /// Those of [`Journal::open`], and if the copy cannot be written.
    pub fn open_and_report(
        folder: &Path,
        on_migration: impl FnOnce(Migration),
    ) -> Result<Self, JournalError> {
        Self::open_and(folder, |connection, migration| {
            on_migration(migration);
            kept_versions::keep(connection, folder, migration.from)
        })
    }

    fn open_and(
        folder: &Path,
        before_migration: impl FnOnce(&Connection, Migration) -> Result<(), JournalError>,
    ) -> Result<Self, JournalError> {
        let unusable = |error| JournalError::Unusable { file: folder.to_owned(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        let (lock, noted) = Lock::take(folder)?;
        decided_restore::finish(folder).map_err(unusable)?;
        let file = folder.join(DATABASE);
        let connection = schema::open(&file, before_migration)?;
        let wrap = |error| JournalError::of(&file, "open the journal", error);
        let last_event = load::last_event(&connection).map_err(wrap)?;
        if noted > last_event {
            return Err(JournalError::Behind { file, has: last_event, kept: noted });
        }
        let tail = SinceSnapshot::measure(&connection).map_err(wrap)?;
        let index = MessageIndex::load(&connection).map_err(wrap)?;
        lock.note(last_event);
        let open_files = ["", "-wal", "-shm"].map(|suffix| schema::beside(&file, suffix)).into_iter();
        let open_files = open_files
            .map(|file| fs::metadata(&file).map(|found| (file, lock::identity(&found))))
            .collect::<io::Result<_>>()
            .map_err(unusable)?;
        Ok(Self {
            connection,
            lock,
            file,
            open_files,
            checked: None,
            last_event,
            uncertain: false,
            tail,
            commits: 0,
            pruned: None,
            removed: RemovedEntries::default(),
            index,
            new_configuration: None,
        })
    }

    /// The last event that changed the checklist; 0 if none did.
    #[must_use]
    pub fn checklist_event(&self) -> Number {
        Number(self.tail.checklist_event)
    }

    fn wrap(&self, doing: &'static str, error: rusqlite::Error) -> JournalError {
        JournalError::of(&self.file, doing, error)
    }
}
