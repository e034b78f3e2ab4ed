//! [`RunningUp`]: the `nowcast up` of a journal, of which one can run at a time. It locks a file in the journal's folder until it ends.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::Presence;

/// The name of the locked file.
const NAME: &str = "up";

/// The number of attempts to lock the file: who asks whether it is locked locks it for an instant.
const ATTEMPTS: u32 = 20;

/// The pause between attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// A `nowcast up`, as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningUp {
    /// Its process.
    pub process: u32,
    /// Where its output goes, if it is detached.
    pub output: Option<PathBuf>,
}

impl RunningUp {
    /// Return the one that runs for a journal.
    #[must_use]
    pub fn find(journal: &Path) -> Option<Self> {
        // The file is empty for an instant after it was locked.
        let unknown = || Presence::is_announced(NAME, journal).then_some(Self { process: 0, output: None });
        let noted = Presence::noted(NAME, journal);
        noted.and_then(|line| serde_json::from_str(&line).ok()).or_else(unknown)
    }

    /// Return the one that runs, or ran last, for a journal.
    #[must_use]
    pub fn noted(journal: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(journal.join(NAME)).ok()?).ok()
    }

    /// Make this process the one of the journal, as long as the value lives.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub(super) fn announce(journal: &Path, output: Option<PathBuf>) -> io::Result<Result<Presence, Self>> {
        let mut presence = Presence::of(NAME);
        for _ in 0..ATTEMPTS {
            if presence.announce(journal) {
                let this = Self { process: std::process::id(), output };
                presence.note(journal, &serde_json::to_string(&this)?)?;
                return Ok(Ok(presence));
            }
            if let Some(other) = Self::find(journal) {
                return Ok(Err(other));
            }
            std::thread::sleep(PAUSE);
        }
        Err(io::Error::other(format!("{} cannot be locked", journal.join(NAME).display())))
    }
}

impl fmt::Display for RunningUp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            0 => out.write_str("\"nowcast up\""),
            process => write!(out, "\"nowcast up\" (process {process})"),
        }
    }
}
