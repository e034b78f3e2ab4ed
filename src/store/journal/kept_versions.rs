//! Copies of the journal from before it was brought up to date, as the way back to the previous program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::backup::{self, BackupError};
use super::schema::beside;
use super::{DATABASE, JournalError};
use crate::private_folder;

/// How long a copy is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const BEGIN: &str = "journal.version-";
const END: &str = ".sqlite";

/// Return the path of the copy that a journal had with a version.
#[must_use]
pub fn path(folder: &Path, version: i64) -> PathBuf {
    folder.join(format!("{BEGIN}{version}{END}"))
}

/// Keep a copy of the database in a folder, which has that version. An earlier copy of the same version is replaced.
pub(super) fn keep(connection: &Connection, folder: &Path, version: i64) -> Result<(), JournalError> {
    let (database, kept) = (folder.join(DATABASE), path(folder, version));
    let new = beside(&kept, ".new");
    let not_kept = |error: &dyn std::fmt::Display| {
        let _ = fs::remove_file(&new);
        JournalError::NotKept { file: database.clone(), error: error.to_string() }
    };
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_kept(&error)),
        _ => {}
    }
    private_folder::open_file(&new).map_err(|error| not_kept(&error))?;
    backup::copy(connection, &database, &new).map_err(|error| match error {
        BackupError::Damaged(problems) => {
            JournalError::Damaged { file: database.clone(), why: problems.join("; ") }
        }
        BackupError::Journal(damaged @ JournalError::Damaged { .. }) => damaged,
        other => not_kept(&other),
    })?;
    fs::rename(&new, kept).map_err(|error| not_kept(&error))
}

/// Remove the copies in a folder that are older than [`KEPT_FOR`]. Return those that were removed, with their bytes.
#[must_use]
pub fn remove_old(folder: &Path) -> Vec<(PathBuf, u64)> {
    let is_copy = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(BEGIN)?.strip_suffix(END)?.parse::<i64>().ok()).is_some()
    };
    let remove_if_old = |path: PathBuf| {
        let found = fs::metadata(&path).ok()?;
        let age = SystemTime::now().duration_since(found.modified().ok()?).ok()?;
        let is_removed = age > KEPT_FOR && fs::remove_file(&path).is_ok();
        is_removed.then_some((path, found.len()))
    };
    private_folder::files_in(folder).into_iter().filter(is_copy).filter_map(remove_if_old).collect()
}
