//! [`backup`]: a consistent copy of the journal in one file, also beside a running manager. It never changes the journal, and the
//! file has its name only once it is whole, checked and on the disk.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{self, Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::schema::{self, beside};
use super::{DATABASE, JournalError, JournalInfo, info, lock};
use crate::failpoint;
use crate::private_folder;
use crate::store::seal::hex;

/// The end of the name that a backup has until it is whole.
const UNFINISHED: &str = ".unfinished";

/// A backup that was written, or that was found to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// What it holds.
    pub info: JournalInfo,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// The reason why a backup was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file exists.
    #[error("{} exists already and is not replaced; name another file, or add --force", .0.display())]
    Exists(PathBuf),
    /// It would be where the journal is.
    #[error(
        "{} is in the journal's folder, where it would be lost together with the journal; name a file elsewhere, best on another disk",
        .0.display()
    )]
    InJournal(PathBuf),
    /// Another process writes the same file.
    #[error("another backup is being written to {}; wait until it is done", .0.display())]
    Busy(PathBuf),
    /// The file cannot be written.
    #[error("the backup {} cannot be written: {error}. See that its folder can be written and its disk has room", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The copy is damaged, since the journal is.
    #[error(
        "the journal is damaged, so no backup was written, and an earlier one stays as it is:\n  {}\nSee \"nowcast journal check\"; \
         \"nowcast restore\" puts an earlier backup into its place", .0.join("\n  ")
    )]
    Damaged(Vec<String>),
}

/// Write a backup of the journal in a folder to a file, which is replaced only if `replaces` is set.
///
/// # Errors
/// Those of [`BackupError`]. Nothing has the file's name then but what had it before.
pub fn backup(folder: &Path, file: &Path, replaces: bool) -> Result<Backup, BackupError> {
    let unwritable = |error| BackupError::Unwritable { file: file.to_owned(), error };
    let file = &path::absolute(file).map_err(unwritable)?;
    if is_inside(folder, file) {
        return Err(BackupError::InJournal(file.clone()));
    }
    if !replaces && fs::symlink_metadata(file).is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let (connection, _) = schema::open_to_copy(&folder.join(DATABASE))?;
    let new = beside(file, UNFINISHED);
    let _lock = take(&new, file)?;
    let written = copy(&connection, &folder.join(DATABASE), &new)
        .and_then(|backup| put_in_place(&new, file, replaces).map(|()| backup));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    let Backup { info, sha256 } = written?;
    Ok(Backup { info: JournalInfo { file: file.to_owned(), ..info }, sha256 })
}

/// Read a backup, or a copy of a database, and check that it is whole.
///
/// # Errors
/// It cannot be read, is damaged, or is of a newer version of the program.
pub(super) fn checked(file: &Path) -> Result<JournalInfo, BackupError> {
    let (connection, version) = schema::open_to_copy(file)?;
    let wrap = |error| JournalError::of(file, "read the journal", error);
    let problems = info::problems(&connection, version).map_err(wrap)?;
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems));
    }
    Ok(info::of(&connection, file).map_err(wrap)?)
}

/// Copy a database into a new file as it is at this moment, without free pages, check the copy and flush it to the disk. `source` is the
/// file of the connection.
pub(super) fn copy(connection: &Connection, source: &Path, new: &Path) -> Result<Backup, BackupError> {
    let unwritable = |error| BackupError::Unwritable { file: new.to_owned(), error };
    let target = new.to_str().ok_or_else(|| unwritable(io::Error::other("its path is not UTF-8")))?;
    connection.execute("VACUUM INTO ?1", [target]).map_err(|error| {
        match JournalError::of(source, "copy the journal", error) {
            damaged @ JournalError::Damaged { .. } => damaged.into(),
            JournalError::Full { error, .. } | JournalError::Database { error, .. } => {
                unwritable(io::Error::other(error))
            }
            other => other.into(),
        }
    })?;
    failpoint::pass("backup: copied");
    let info = checked(new)?;
    let written = File::open(new).map_err(unwritable)?;
    written.sync_all().map_err(unwritable)?;
    let sha256 = hash(written).map_err(unwritable)?;
    failpoint::pass("backup: checked");
    Ok(Backup { info, sha256 })
}

fn hash(mut file: File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut bytes = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut bytes)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&bytes[..count]),
        }
    }
}

fn is_inside(folder: &Path, file: &Path) -> bool {
    let parent = file.parent().and_then(|parent| fs::canonicalize(parent).ok());
    fs::canonicalize(folder).ok().zip(parent).is_some_and(|(folder, parent)| parent.starts_with(folder))
}

/// Give a finished backup its name.
fn put_in_place(new: &Path, file: &Path, replaces: bool) -> Result<(), BackupError> {
    let renamed = if replaces { fs::rename(new, file) } else { rename_without_replacing(new, file) };
    renamed.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => BackupError::Unwritable { file: file.to_owned(), error },
    })?;
    failpoint::pass("backup: renamed");
    let synced =
        file.parent().map_or(Ok(()), |folder| File::open(folder).and_then(|folder| folder.sync_all()));
    synced.map_err(|error| BackupError::Unwritable { file: file.to_owned(), error })
}

fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can do it in one step.
        Err(Errno::INVAL | Errno::NOSYS) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Make an empty file for the copy, mode 0600, and lock it: no other process writes the same backup. What a killed one left is removed.
fn take(new: &Path, file: &Path) -> Result<File, BackupError> {
    let unwritable = |error| BackupError::Unwritable { file: file.to_owned(), error };
    let taken = private_folder::open_file(new).map_err(unwritable)?;
    match taken.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(file.to_owned())),
        Err(TryLockError::Error(error)) => return Err(unwritable(error)),
    }
    // One that the other process has renamed meanwhile is its backup.
    let found = taken.metadata().map_err(unwritable)?;
    if !lock::is_at(lock::identity(&found), new) {
        return Err(BackupError::Busy(file.to_owned()));
    }
    taken.set_len(0).map_err(unwritable)?;
    Ok(taken)
}
