//! [`JournalError`]: why the journal cannot be opened, read or written, and what helps.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use nowcast_core::Number;

/// Why the journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another manager has it.
    #[error(
        "another manager{} uses the journal in {}, and two managers would decide each message twice. Stop that one first, or give this \
         one a journal of its own by `journal: folder:` in its configuration",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), .folder.display()
    )]
    Locked {
        /// The journal's folder.
        folder: PathBuf,
        /// The other's process id, if it could be read.
        pid: Option<u32>,
    },
    /// A file or folder cannot be made or read.
    #[error("the journal cannot be used: {}: {error}. See that the folder can be written and its disk has room", .file.display())]
    Unusable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no journal.
    #[error("there is no journal {}: no manager has run with this configuration yet", .file.display())]
    None {
        /// Where it would be.
        file: PathBuf,
    },
    /// A restore was killed while it put the backup into its place.
    #[error(
        "the journal {} does not exist at the moment: a restore was interrupted. Start the manager or repeat \"nowcast restore\": both finish it \
         first", .file.display()
    )]
    RestoreInterrupted {
        /// Where it will be.
        file: PathBuf,
    },
    /// A newer version of the program made it.
    #[error(
        "{} has version {found}, and this program knows versions up to {known}: a newer nowcast has used it. \
         Go on with that one, restore a backup from before the upgrade with \"nowcast restore\" (a copy from then is beside the journal), \
         or move the journal's folder aside to start a new journal", .file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// An older version of the program made it, and only the manager brings it up to date.
    #[error(
        "{} has version {found}, and this program reads version {known}: start the manager of this version once, \
         which brings it up to date", .file.display()
    )]
    Older {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// No copy of it could be kept before it is brought up to date.
    #[error(
        "{} was not brought up to date, since no copy of it could be kept before: {error}. Make room for one and start again, or go on with \
         the previous nowcast", .file.display()
    )]
    NotKept {
        /// The database.
        file: PathBuf,
        /// Why.
        error: String,
    },
    /// It was taken away while the manager ran.
    #[error(
        "{} was moved, removed or replaced while the manager ran, and what is kept there now would be lost. Nothing of the last messages \
         was done, so they come again. Put it back, or see that no other manager runs there, and start the manager again", .file.display()
    )]
    Replaced {
        /// The missing file.
        file: PathBuf,
    },
    /// It is damaged or not a journal.
    #[error(
        "{} is damaged: {why}. Nothing was written to it. Restore a backup with \"nowcast restore FILE\", or move the journal's folder aside \
         to start a new journal with the checklist file", .file.display()
    )]
    Damaged {
        /// The database.
        file: PathBuf,
        /// The damage.
        why: String,
    },
    /// Events that were kept are not there any more.
    #[error(
        "{} ends with event #{has}, though event #{kept} was kept: its -wal file was removed or is damaged, or an older copy was put there. \
         Restore both files; to go on without the events that are missing, remove the file `lock` beside them \
         (what they launched may then be launched again)", .file.display()
    )]
    Behind {
        /// The database.
        file: PathBuf,
        /// Its last event.
        has: u64,
        /// The last event that was kept.
        kept: u64,
    },
    /// The disk is full.
    #[error("the disk is full: cannot {doing} in {}: {error}. It goes on as soon as there is room", .file.display())]
    Full {
        /// The database.
        file: PathBuf,
        /// The failed operation.
        doing: &'static str,
        /// The error of SQLite.
        error: rusqlite::Error,
    },
    /// The history before a moment was removed, as `journal: keep:` says.
    #[error("the checklist at event {0} is not available: entries older than `journal: keep:` were removed")]
    Pruned(Number),
    /// Anything else that went wrong in the database.
    #[error("cannot {doing} in {}: {error}. See that the folder can be written, its disk works and no other program holds the database", .file.display())]
    Database {
        /// The database.
        file: PathBuf,
        /// The failed operation.
        doing: &'static str,
        /// The error of SQLite.
        error: rusqlite::Error,
    },
}

impl JournalError {
    /// Whether it will work as soon as there is room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Unusable { error, .. } => error.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Return the meaning of an error of SQLite for a person.
    pub(super) fn of(file: &Path, doing: &'static str, error: rusqlite::Error) -> Self {
        let file = file.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { file, doing, error },
            // Where the disk is full, SQLite calls some of what fails an input or output error.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if has_no_room(&file) => {
                Self::Full { file, doing, error }
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { file, why: error.to_string() }
            }
            Some(_) => Self::Database { file, doing, error },
            None => Self::Damaged { file, why: error.to_string() },
        }
    }
}

fn has_no_room(file: &Path) -> bool {
    file.parent().and_then(|folder| rustix::fs::statvfs(folder).ok()).is_some_and(|disk| disk.f_bavail == 0)
}
