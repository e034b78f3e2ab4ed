//! [`DecisionTime`]: the time of a decision.

use jiff::{Timestamp, ZonedDateTime};

/// The time of a decision. The core has no other clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionTime {
    /// The wall clock in the manager's time zone: the rules' `now()`.
    pub wall: ZonedDateTime,
}

impl DecisionTime {
    /// Return the wall clock as a timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.wall.timestamp()
    }
}

impl From<ZonedDateTime> for DecisionTime {
    fn from(wall: ZonedDateTime) -> Self {
        Self { wall }
    }
}
