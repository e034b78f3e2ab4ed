//! [`Foretellable`]: which launches of the past a forecast could know of. What operators do cannot be foretold, and what follows from it.

use std::collections::HashSet;

use jiff::Timestamp;

use super::history::PastRuns;
use crate::store::{History, JournalError};
use nowcast_core::record::{RecordedEvent, Speaker};
use nowcast_core::{Command, Number, RunId};

/// The runs that a forecast could not know of.
#[derive(Debug)]
pub struct Foretellable {
    others: HashSet<RunId>,
}

impl Foretellable {
    /// Read them from the journal. Runs that were launched before a moment are taken for foretellable.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn read(history: &History, past: &PastRuns, since: Timestamp) -> Result<Self, JournalError> {
        let mut others = HashSet::new();
        // A run is caused by one with a lower number.
        for run in past.runs().iter().filter(|run| run.launched >= since) {
            let sender = past.sender(run.cause);
            let is_of_other = sender.is_some_and(|sender| others.contains(&sender.id));
            if is_of_other || !is_of_the_system(history, run.cause)? {
                others.insert(run.id);
            }
        }
        Ok(Self { others })
    }

    /// Return whether a forecast could know of the launch of a run.
    #[must_use]
    pub fn is(&self, run: RunId) -> bool {
        !self.others.contains(&run)
    }
}

/// Whether an event is one of the schedule, of a run or of the manager.
fn is_of_the_system(history: &History, event: Number) -> Result<bool, JournalError> {
    Ok(match history.event(event)?.map(|record| record.event) {
        Some(RecordedEvent::Command { command, .. }) => matches!(command, Command::LaunchScheduled { .. }),
        // A message without a run came from a program that nothing has launched.
        Some(RecordedEvent::Message(message)) => {
            message.speaker != Speaker::Operator && message.run.is_some()
        }
        // Pruned events say nothing.
        _ => true,
    })
}
