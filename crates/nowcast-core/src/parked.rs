//! [`Parked`]: messages and launches that were set aside until an operator decides.

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

use crate::cycle::Cycle;
use crate::requested_launch::RequestedLaunch;
use crate::run::Number;

/// A message or launches that wait for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Its number: that of the message or of the join.
    pub id: Number,
    /// When it was parked, with the time zone.
    pub at: ZonedDateTime,
    /// The reason.
    pub reason: String,
    /// The message or launches.
    pub item: ParkedItem,
}

impl Parked {
    /// Return the cycles of the message or of the launches.
    pub fn cycles(&self) -> impl Iterator<Item = &Cycle> {
        let (message, launches) = match &self.item {
            ParkedItem::Message { cycle, .. } => (cycle.as_ref(), &[][..]),
            ParkedItem::Launches { launches, .. } => (None, launches.as_slice()),
        };
        message.into_iter().chain(launches.iter().filter_map(|launch| launch.cycle.as_ref()))
    }

    /// Return the event as which a parked message counted in joins.
    pub(super) fn counted_as(&self) -> Option<Number> {
        match self.item {
            ParkedItem::Message { counted_as, .. } => counted_as,
            ParkedItem::Launches { .. } => None,
        }
    }
}

/// A parked message or parked launches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedItem {
    /// A message whose rule failed or is missing, or that was not decided: `nowcast retry` re-decides it.
    Message {
        /// The worker.
        source: String,
        /// The type.
        r#type: String,
        /// The message's payload, as YAML text; empty for an undecided message.
        payload: String,
        /// The run that it reported for.
        run: Option<Number>,
        /// Its cycle.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cycle: Option<Cycle>,
        /// The event as which it counted in joins, so that it does not count twice. `None` until it reaches a rule.
        counted_as: Option<Number>,
        /// The whole message if it was parked undecided: its payload is not in the checklist, and a retry decides it from the
        /// beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undecided: Option<String>,
    },
    /// Launches of an overdue or reopened join, or of a cancelled cycle: `nowcast release` launches them, `nowcast discard` discards them.
    Launches {
        /// The join's name; `None` for a launch whose cycle is cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        join: Option<String>,
        /// The launches.
        launches: Vec<RequestedLaunch>,
    },
}
