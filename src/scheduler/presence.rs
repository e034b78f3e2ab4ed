//! Whether a scheduler runs. It has no socket, so it holds a locked file in the journal's folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file's name.
const NAME: &str = "scheduler";

/// Says that a scheduler runs, for as long as it is kept. `None` when there is no such folder yet, or another one runs.
pub(super) fn announce(journal: &Path) -> Option<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(journal.join(NAME)).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

/// Whether a scheduler runs for the manager whose journal is in that folder.
#[must_use]
pub fn runs(journal: &Path) -> bool {
    let is_locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    File::open(journal.join(NAME)).is_ok_and(is_locked)
}
