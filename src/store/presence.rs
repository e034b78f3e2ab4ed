//! [`Presence`]: how daemons without a socket show that they run. Each locks a file in the journal's folder until its process
//! ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use crate::private_folder;

/// A daemon's lock.
#[derive(Debug)]
pub struct Presence {
    /// The daemon's name, and the file's.
    name: &'static str,
    file: Option<File>,
}

impl Presence {
    /// Create the lock of a daemon that is not announced yet.
    #[must_use]
    pub fn of(name: &'static str) -> Self {
        Self { name, file: None }
    }

    /// Announce that the daemon runs. Return false while that is not possible: the manager has not created its folder yet, or
    /// another such daemon runs.
    pub fn announce(&mut self, journal: &Path) -> bool {
        let path = journal.join(self.name);
        let lock = || {
            private_folder::open_file(&path).ok()?;
            // Open it for reading only: a file that is open for writing prevents a read-only remount.
            let file = File::open(&path).ok()?;
            file.try_lock().ok()?;
            Some(file)
        };
        self.file = self.file.take().or_else(lock);
        self.file.is_some()
    }

    /// Write a line about the daemon into its file, once it is announced.
    ///
    /// # Errors
    /// When the disk is full, or the operating system refuses.
    pub fn note(&self, journal: &Path, line: &str) -> io::Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(journal.join(self.name))?
            .write_all(line.as_bytes())
    }

    /// Return the line of a running daemon.
    #[must_use]
    pub fn noted(name: &str, journal: &Path) -> Option<String> {
        let line = fs::read_to_string(journal.join(name)).ok()?;
        Self::is_announced(name, journal).then_some(line)
    }

    /// Return whether such a daemon runs for the manager with this journal.
    #[must_use]
    pub fn is_announced(name: &str, journal: &Path) -> bool {
        let is_locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(journal.join(name)).is_ok_and(is_locked)
    }
}
