//! [`OpenDeadline`]: the deadlines to come, for forecasts. Nothing is evaluated here.

use jiff::{Timestamp, ZonedDateTime};

use crate::clock::Now;
use crate::cycle::Cycle;
use crate::message::Message;
use crate::state::State;

/// A deadline to come, whose message has not been received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDeadline {
    /// The worker.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// The deadline.
    pub at: ZonedDateTime,
    /// A message counts from then on.
    pub since: Timestamp,
    /// The cycle of the message that meets it, if it must be of one.
    pub cycle: Option<Cycle>,
}

impl OpenDeadline {
    /// Return whether a message is the expected one, in time or late.
    #[must_use]
    pub fn is_met_by(&self, message: &Message, received: Timestamp) -> bool {
        let is_of_kind = message.source == self.worker && message.r#type == self.r#type;
        is_of_kind
            && match &self.cycle {
                Some(cycle) => message.cycle.as_ref() == Some(cycle),
                None => self.since <= received,
            }
    }
}

impl State {
    /// Return the deadlines after now and until a moment whose messages have not been received, the soonest first.
    #[must_use]
    pub fn open_deadlines(&self, now: Now, until: Timestamp) -> Vec<OpenDeadline> {
        let mut open = Vec::new();
        for expectation in &self.policy.expectations {
            let key = (expectation.worker.clone(), expectation.r#type.clone());
            let Some(expected) = self.expected.get(&key) else { continue };
            for deadline in expected.to_come(expectation, now, until) {
                let is_abandoned =
                    deadline.cycle.as_ref().is_some_and(|cycle| self.cycles.is_abandoned(cycle));
                if is_abandoned || expected.is_met(&deadline, now, &self.cycles) {
                    continue;
                }
                let (worker, r#type) = key.clone();
                let (at, since, cycle) = (deadline.at, deadline.since, deadline.cycle);
                open.push(OpenDeadline { worker, r#type, at, since, cycle });
            }
        }
        open.sort_by(|one, other| one.at.cmp(&other.at));
        open
    }
}
