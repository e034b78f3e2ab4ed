//! [`Predictable`]: which launches of the past a forecast could know of. What operators do later cannot be predicted, and what follows from it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::history::PastRuns;
use crate::store::{History, JournalError};
use nowcast_core::record::{RecordedEvent, Speaker};
use nowcast_core::{Command, Number, RunId};

/// The runs that follow from what operators did.
#[derive(Debug)]
pub struct Predictable {
    /// For each of them, the first one, which an operator launched.
    origins: HashMap<RunId, RunId>,
}

impl Predictable {
    /// Read them from the journal. Runs that were launched before a moment are taken for predictable.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn read(history: &History, past: &PastRuns, since: Timestamp) -> Result<Self, JournalError> {
        let mut origins = HashMap::new();
        // A run is caused by one with a lower number.
        for run in past.runs().iter().filter(|run| run.launched >= since) {
            if !is_of_the_system(history, run.cause)? {
                origins.insert(run.id, run.id);
            } else if let Some(origin) = past.sender(run.cause).and_then(|sender| origins.get(&sender.id)) {
                origins.insert(run.id, *origin);
            }
        }
        Ok(Self { origins })
    }

    /// Return whether a forecast that knows the events up to a number could know of the launch of a run: nothing that an operator did
    /// later led to it.
    #[must_use]
    pub fn is(&self, run: RunId, based_on: Number) -> bool {
        self.origins.get(&run).is_none_or(|origin| origin.0 <= based_on.0)
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
