//! [`Presence`]: how daemons without a socket let others see that they run: each holds a locked file in the journal's
//! folder, and lets go of it with its end, however that comes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What says that a daemon runs.
#[derive(Debug)]
pub struct Presence {
    /// The daemon's name, and the file's.
    name: &'static str,
    file: Option<File>,
}

impl Presence {
    /// Nothing is said yet.
    #[must_use]
    pub fn of(name: &'static str) -> Self {
        Self { name, file: None }
    }

    /// Says that the daemon runs, if that is not said yet. False while it cannot be: the manager has not made its
    /// folder yet, or another such daemon runs.
    pub fn announce(&mut self, journal: &Path) -> bool {
        let path = journal.join(self.name);
        let lock = || {
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).ok()?;
            // Only read from here on: a file that is open for writing keeps its disk from being remounted.
            let file = File::open(&path).ok()?;
            file.try_lock().ok()?;
            Some(file)
        };
        self.file = self.file.take().or_else(lock);
        self.file.is_some()
    }

    /// Writes a line about the daemon into its file, once it is announced.
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

    /// What a daemon that runs has noted last; nothing of one that is gone.
    #[must_use]
    pub fn noted(name: &str, journal: &Path) -> Option<String> {
        let line = fs::read_to_string(journal.join(name)).ok()?;
        Self::is_announced(name, journal).then_some(line)
    }

    /// Whether such a daemon runs for the manager whose journal is in that folder.
    #[must_use]
    pub fn is_announced(name: &str, journal: &Path) -> bool {
        let is_locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(journal.join(name)).is_ok_and(is_locked)
    }
}
