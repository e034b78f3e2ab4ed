//! [`ManagerConnection`]: whether a manager is connected to the broker, for `nowcast status`.
//!
//! The broker notes it in a file of the journal's folder: a manager that is not ours leaves no other trace there. A
//! broker that cannot write the note works without it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::Presence;

/// The name of the broker's file in the journal's folder.
const FILE: &str = "broker";

/// Whether a manager is connected to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerConnection {
    /// Any manager, ours or another program.
    pub connected: bool,
}

impl ManagerConnection {
    /// Read the note of the broker that runs for a system; `None` without such a broker.
    #[must_use]
    pub fn read(journal: &Path) -> Option<Self> {
        serde_json::from_str(&Presence::noted(FILE, journal)?).ok()
    }
}

/// Keeps the note up to date.
#[derive(Debug)]
pub(super) struct ConnectionNote {
    presence: Presence,
    written: Option<ManagerConnection>,
}

impl ConnectionNote {
    pub(super) fn new() -> Self {
        Self { presence: Presence::of(FILE), written: None }
    }

    /// Note whether a manager is connected. The folder is made if it is missing: only our own manager would make it.
    pub(super) fn write(&mut self, journal: &Path, connected: bool) {
        let connection = ManagerConnection { connected };
        if self.written == Some(connection) {
            return;
        }
        let _ = DirBuilder::new().mode(0o700).create(journal);
        if !self.presence.announce(journal) {
            return;
        }
        let Ok(line) = serde_json::to_string(&connection) else { return };
        self.written = self.presence.note(journal, &line).is_ok().then_some(connection);
    }
}
