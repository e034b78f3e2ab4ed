//! [`Parked`]: what was not carried out and not forgotten; an operator decides.

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

use crate::joins::PendingLaunch;
use crate::run::Number;

/// Something that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Its number: the message's own, or one of the same sequence for launches.
    pub id: Number,
    /// When it was parked, with the time zone.
    pub at: ZonedDateTime,
    /// Why.
    pub reason: String,
    /// What it is.
    pub item: ParkedItem,
}

/// What is parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedItem {
    /// A message whose rule failed: `nowcast retry` decides it again.
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
    /// Launches that waited in a join: `nowcast release` launches them, `nowcast discard` does not.
    Launches {
        /// The join's name.
        join: String,
        /// What waited.
        launches: Vec<PendingLaunch>,
    },
}
