//! [`StateNote`]: the state of the broker in a file of the journal's folder, for `nowcast status`.
//!
//! It says which manager is connected: a manager that is not ours leaves no other trace there. A
//! broker that cannot write the note works without it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::net::{BrokerState, ManagerIdentity};
use crate::private_folder::{self, OTHERS_WRITE};
use crate::store::Presence;
use pylogging::Logger;

/// The interval between attempts to write a state.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

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
    /// When it could not be written: a connection may have taken the descriptor that was kept for it.
    failed: Option<Instant>,
}

impl StateNote {
    pub(super) fn new() -> Self {
        Self { presence: Presence::of(FILE), last: None, failed: None }
    }

    /// Whether this state is to be written: it differs from the last one, or that could not be written.
    pub(super) fn differs(&self, state: &BrokerState) -> bool {
        self.last.as_ref() != Some(state)
            || self.failed.is_some_and(|failed| failed.elapsed() >= RETRY_INTERVAL)
    }

    /// Whether the last state names this manager.
    pub(super) fn names(&self, manager: &ManagerIdentity) -> bool {
        self.last.as_ref().and_then(|state| state.manager.as_ref()) == Some(manager)
    }

    /// Write the state. The folder is made if it is missing: only our own manager would make it.
    pub(super) fn write(&mut self, journal: &Path, state: BrokerState, log: &Logger) {
        let line = serde_json::to_string(&state).unwrap_or_default();
        let is_written = private_folder::make_or_repair(journal, OTHERS_WRITE, log).is_ok()
            && self.presence.announce(journal)
            && self.presence.note(journal, &line).is_ok();
        self.failed = (!is_written).then(Instant::now);
        self.last = Some(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_written_if_it_is_new_or_could_not_be_written_a_while_ago() {
        let (idle, busy) =
            (BrokerState::default(), BrokerState { connected: true, ..BrokerState::default() });
        let mut note = StateNote::new();
        assert!(note.differs(&idle), "nothing is written yet");
        note.last = Some(idle.clone());
        assert!(!note.differs(&idle) && note.differs(&busy));
        // In the future, so that it is within the interval however long this test is interrupted.
        note.failed = Some(Instant::now() + RETRY_INTERVAL);
        assert!(!note.differs(&idle) && note.differs(&busy));
        note.failed = Instant::now().checked_sub(RETRY_INTERVAL);
        assert!(note.differs(&idle));
    }
}
