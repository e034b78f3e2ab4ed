//! [`Parked`]: messages and launches that were set aside until an operator decides.

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

use crate::joins::PendingLaunch;
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

/// A parked message or parked launches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedItem {
    /// A message whose rule failed: `nowcast retry` re-decides it.
    Message {
        /// The worker.
        source: String,
        /// The type.
        r#type: String,
        /// The message's payload, as YAML text.
        payload: String,
        /// The run that it reported for.
        run: Option<Number>,
    },
    /// Launches of an overdue or reopened join: `nowcast release` launches them, `nowcast discard` discards them.
    Launches {
        /// The join's name.
        join: String,
        /// The launches.
        launches: Vec<PendingLaunch>,
    },
}
