//! [`Presence`]: how daemons without a socket let others see that they run: each holds a locked file in the journal's
//! folder, and lets go of it with its end, however that comes.

use std::fs::{File, OpenOptions, TryLockError};
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
        let lock = || {
            let options =
                OpenOptions::new().create(true).append(true).mode(0o600).open(journal.join(self.name));
            let file = options.ok()?;
            file.try_lock().ok()?;
            Some(file)
        };
        self.file = self.file.take().or_else(lock);
        self.file.is_some()
    }

    /// Whether such a daemon runs for the manager whose journal is in that folder.
    #[must_use]
    pub fn is_announced(name: &str, journal: &Path) -> bool {
        let is_locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(journal.join(name)).is_ok_and(is_locked)
    }
}
