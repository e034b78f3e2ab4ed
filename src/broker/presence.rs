//! [`StateNote`]: the state of the broker in a file of the journal's folder, for `nowcast status`.
//!
//! It says which manager is connected: a manager that is not ours leaves no other trace there. A
//! broker that cannot write the note works without it.

use std::path::Path;

use crate::net::{BrokerState, ManagerIdentity};
use crate::private_folder::{self, OTHERS_WRITE};
use crate::store::Presence;
use pylogging::Logger;

/// The name of the broker's file in the journal's folder.
const FILE: &str = "broker";

/// Return the note of the broker that runs for a system; `None` without such a broker.
#[must_use]
pub fn noted_state(journal: &Path) -> Option<BrokerState> {
    serde_json::from_str(&Presence::noted(FILE, journal)?).ok()
}

/// Keeps the note up to date.
#[derive(Debug)]
pub(super) struct StateNote {
    presence: Presence,
    last: Option<BrokerState>,
}

impl StateNote {
    pub(super) fn new() -> Self {
        Self { presence: Presence::of(FILE), last: None }
    }

    /// Whether this state differs from the one that was to be written last.
    pub(super) fn differs(&self, state: &BrokerState) -> bool {
        self.last.as_ref() != Some(state)
    }

    /// Whether the last state names this manager.
    pub(super) fn names(&self, manager: &ManagerIdentity) -> bool {
        self.last.as_ref().and_then(|state| state.manager.as_ref()) == Some(manager)
    }

    /// Write the state. The folder is made if it is missing: only our own manager would make it.
    pub(super) fn write(&mut self, journal: &Path, state: BrokerState, log: &Logger) {
        if private_folder::make_or_repair(journal, OTHERS_WRITE, log).is_ok()
            && self.presence.announce(journal)
            && let Ok(line) = serde_json::to_string(&state)
        {
            let _ = self.presence.note(journal, &line);
        }
        self.last = Some(state);
    }
}
