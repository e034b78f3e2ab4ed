//! [`Lock`]: one manager for each journal, and a note of how far it came.
//!
//! The note is written after each commit without waiting for the disk. So it is never ahead of the database,
//! and a database that is behind it has lost events.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::error::JournalError;

/// The lock of a journal. Let go when it is dropped or the process ends, however it does; the programs that the process
/// starts do not inherit it.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock; also answers the last event that was noted, 0 if there is no note.
    pub(super) fn take(folder: &Path) -> Result<(Self, u64), JournalError> {
        let path = folder.join("lock");
        let unusable = |error| JournalError::Unusable { file: path.clone(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(unusable)?;
        let is_taken = match file.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        };
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(unusable)?;
        let text = String::from_utf8_lossy(&text);
        let number = |name| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        if is_taken {
            let pid = number("process").and_then(|pid| pid.try_into().ok());
            return Err(JournalError::Locked { folder: folder.to_owned(), pid });
        }
        let noted = number("last event").unwrap_or_default();
        let lock = Self { file };
        lock.write(noted).map_err(unusable)?;
        Ok((lock, noted))
    }

    /// Notes the last event that was kept. A note that cannot be written is an older note, which does no harm.
    pub(super) fn note(&self, last_event: u64) {
        let _ = self.write(last_event);
    }

    /// Always of the same length, so that it takes the place of the one before.
    fn write(&self, last_event: u64) -> std::io::Result<()> {
        let text = format!("process {:<10}\nlast event {last_event:<20}\n", std::process::id());
        self.file.write_all_at(text.as_bytes(), 0)
    }
}
