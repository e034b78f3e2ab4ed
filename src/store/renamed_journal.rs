//! [`RenamedJournal`]: a note in the folder that the configuration names since a reload as the journal's, while the manager still uses
//! the previous one. Without it, that folder looks like one of a system without a manager.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Presence;

/// The name of the note.
const FILE: &str = "manager";

/// A manager that uses another folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenamedJournal {
    /// Its process number.
    pub process: u32,
    /// The folder that it uses.
    pub folder: PathBuf,
}

impl RenamedJournal {
    /// Read the note of a manager that runs.
    #[must_use]
    pub fn read(named: &Path) -> Option<Self> {
        serde_json::from_str(&Presence::noted(FILE, named)?).ok()
    }

    /// Write the note, and make the folder if it is missing. It is valid until the returned value is dropped. Without the note, the
    /// manager works as well.
    #[must_use]
    pub fn write(&self, named: &Path) -> Presence {
        let _ = DirBuilder::new().mode(0o700).create(named);
        let mut presence = Presence::of(FILE);
        if presence.announce(named)
            && let Ok(line) = serde_json::to_string(self)
        {
            let _ = presence.note(named, &line);
        }
        presence
    }

    /// Return what an operator has to know.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "the manager (process {}) still uses the journal in {}: to use this one, it has to be restarted",
            self.process,
            self.folder.display()
        )
    }
}
