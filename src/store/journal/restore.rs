//! [`Restore`]: a backup becomes the journal. It is copied, checked and brought up to date in a folder of its own first; until
//! [`Restore::put_in_force`] the present journal is untouched.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::backup::{self, BackupError};
use super::decided_restore::{self, RestorePlan, STAGED};
use super::lock::Lock;
use super::{DATABASE, Journal, JournalError, JournalInfo, load, schema};
use crate::failpoint;
use crate::private_folder;
use crate::store::Seal;
use nowcast_core::Number;
use pyyaml::{Keys, Value};

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file does not exist.
    #[error("the file {} does not exist; nothing was changed", .0.display())]
    Missing(PathBuf),
    /// A newer version of the program wrote it.
    #[error(
        "{} has version {found}, and this program knows versions up to {known}; nothing was changed. Restore it with the newer nowcast that \
         wrote it, or name a backup from before the upgrade", file.display()
    )]
    Newer {
        /// The backup.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// It is damaged.
    #[error("{} is damaged; nothing was changed. Name another backup:\n  {}", file.display(), problems.join("\n  "))]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// What was found.
        problems: Vec<String>,
    },
    /// The journal's folder cannot be written.
    #[error("{} cannot be written: {error}. See that its disk has room for a copy of the backup, and try again", folder.display())]
    Unwritable {
        /// The journal's folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The journal is in use, or the backup cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A restore that is not decided yet. It holds the journal's lock.
#[derive(Debug)]
pub struct Restore {
    folder: PathBuf,
    lock: Lock,
    /// The restored journal, to which the first event is added before it comes into force.
    pub journal: Journal,
    /// What the backup holds.
    pub backup: JournalInfo,
    /// Up to this number, numbers were given by the present journal; 0 if there is none.
    pub last_number: Number,
}

/// A restore that is done.
#[derive(Debug)]
pub struct Restored {
    /// The folder of the previous journal; `None` if there was none.
    pub set_aside: Option<PathBuf>,
    /// Why the checklist file is not the restored one.
    pub unwritten_checklist: Option<io::Error>,
}

impl Restore {
    /// Take the lock of the journal in a folder, which is made if it is missing, and stage a backup.
    ///
    /// # Errors
    /// A manager uses the journal, the backup cannot be read, is damaged or too new, or the folder cannot be written.
    pub fn prepare(folder: &Path, file: &Path) -> Result<Self, RestoreError> {
        if !file.try_exists().unwrap_or(true) {
            return Err(RestoreError::Missing(file.to_owned()));
        }
        let unwritable = |error| RestoreError::Unwritable { folder: folder.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
        let (lock, noted) = Lock::take(folder)?;
        decided_restore::finish(folder).map_err(unwritable)?;
        let staged = folder.join(STAGED);
        make_empty(&staged).map_err(unwritable)?;
        let backup = stage(file, &staged).inspect_err(|_| {
            let _ = fs::remove_dir_all(&staged);
        })?;
        failpoint::pass("restore: copied");
        let journal = Journal::open(&staged)?;
        let last_number = Number(noted.max(last_number(&folder.join(DATABASE))));
        Ok(Self { folder: folder.to_owned(), lock, journal, backup, last_number })
    }

    /// Put the restored journal into force and set the present one aside. The checklist file gets this checklist.
    ///
    /// # Errors
    /// The folder cannot be written. If that is after the decision, the next start of a manager goes on.
    pub fn put_in_force(self, checklist_file: &Path, checklist: &Value) -> Result<Restored, RestoreError> {
        let Self { folder, lock, mut journal, .. } = self;
        let unwritable = |error| RestoreError::Unwritable { folder: folder.clone(), error };
        let event = journal.checklist_event();
        let name = format!("before-restore-{}", event.0);
        let has_previous = folder.join(DATABASE).exists();
        // The database alone is put into force, and its log has the first event.
        if !journal.shrink()? {
            return Err(unwritable(io::Error::other(
                "another program reads the restored journal; try again",
            )));
        }
        drop(journal);
        let text = Seal::put(event, &pyyaml::write(checklist, Keys::AsGiven));
        let checklist_file = std::path::absolute(checklist_file).map_err(unwritable)?;
        let plan = RestorePlan { set_aside: name.clone().into(), checklist_file };
        decided_restore::decide(&folder, &plan, &text).map_err(unwritable)?;
        let unwritten_checklist = decided_restore::finish(&folder).map_err(unwritable)?;
        drop(lock);
        Ok(Restored { set_aside: has_previous.then(|| folder.join(name)), unwritten_checklist })
    }
}

fn make_empty(staged: &Path) -> io::Result<()> {
    match fs::remove_dir_all(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(staged)
}

/// Copy a backup and check the copy.
fn stage(file: &Path, staged: &Path) -> Result<JournalInfo, RestoreError> {
    let unwritable = |error| RestoreError::Unwritable { folder: staged.to_owned(), error };
    let copied = || {
        let (connection, _) = schema::open_to_copy(file)?;
        let database = staged.join(DATABASE);
        let made = private_folder::open_file(&database);
        made.map_err(|error| BackupError::Unwritable { file: database.clone(), error })?;
        backup::copy(&connection, file, &database)
    };
    let backup = copied().map_err(|error| match error {
        BackupError::Journal(JournalError::Newer { file, found, known }) => {
            RestoreError::Newer { file, found, known }
        }
        BackupError::Journal(JournalError::Damaged { file, why }) => {
            RestoreError::Damaged { file, problems: vec![why] }
        }
        BackupError::Journal(error) => error.into(),
        BackupError::Damaged(problems) => RestoreError::Damaged { file: file.to_owned(), problems },
        BackupError::Unwritable { error, .. } => unwritable(error),
        other => unwritable(io::Error::other(other)),
    })?;
    Ok(JournalInfo { file: file.to_owned(), ..backup.info })
}

/// The last number that the present journal has given, as far as it can be read: it may be damaged, or of a newer version. Its log is put
/// into the database, so that it is one file later.
fn last_number(file: &Path) -> u64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(file, flags) else { return 0 };
    let _ = connection.query_row("PRAGMA wal_checkpoint(truncate)", [], |_| Ok(()));
    load::last_number(&connection).unwrap_or_default()
}
