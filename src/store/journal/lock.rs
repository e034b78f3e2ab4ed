//! [`Lock`]: one manager for each journal, and a note of how far it came.
//!
//! The note is written after each commit without waiting for the disk. So it is never ahead of the database,
//! and a database that is behind it has lost events.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{io, thread};

use super::error::JournalError;
use crate::launch::process::ProcessIdentity;

/// How long the lock of a dead manager is waited for. One that is killed while it starts a program leaves it to
/// that program's process, which lets go of it when it becomes the program.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the lock of a living one is waited for, which may have let go of it in the same way.
const PATIENCE_WITH_THE_LIVING: Duration = Duration::from_millis(250);

/// How often it is tried meanwhile.
const AGAIN: Duration = Duration::from_millis(10);

/// Longer than the note ever is, in bytes.
const NOTE: usize = 1_024;

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
        let file = options.open(&path).map_err(unusable)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
            let pid = number(&file, "process").map_err(unusable)?.and_then(|pid| pid.try_into().ok());
            let patience = if pid.is_none_or(is_alive) { PATIENCE_WITH_THE_LIVING } else { PATIENCE };
            if start.elapsed() >= patience {
                return Err(JournalError::Locked { folder: folder.to_owned(), pid });
            }
            thread::sleep(AGAIN);
        }
        let noted = number(&file, "last event").map_err(unusable)?.unwrap_or_default();
        let lock = Self { file };
        lock.write(noted).map_err(unusable)?;
        Ok((lock, noted))
    }

    /// Notes the last event that was kept. A note that cannot be written is an older note, which does no harm.
    pub(super) fn note(&self, last_event: u64) {
        let _ = self.write(last_event);
    }

    /// Always of the same length, so that it takes the place of the one before.
    fn write(&self, last_event: u64) -> io::Result<()> {
        let text = format!("process {:<10}\nlast event {last_event:<20}\n", std::process::id());
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

/// A number of the note, if it can be read.
fn number(file: &File, name: &str) -> io::Result<Option<u64>> {
    let mut bytes = [0; NOTE];
    let length = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    Ok(text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()))
}

/// Whether a process runs. One that nobody has waited for yet does not.
fn is_alive(pid: u32) -> bool {
    let process = i32::try_from(pid).map(ProcessIdentity::of);
    process.is_ok_and(|process| process.is_ok_and(|process| process.is_alive()))
}
