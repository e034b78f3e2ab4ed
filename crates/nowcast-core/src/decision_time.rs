//! [`DecisionTime`]: the moment at which an event is decided.

use jiff::{Timestamp, ZonedDateTime};

/// The moment at which an event is decided. The core has no other clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionTime {
    /// The wall clock in the manager's time zone: the rules' `now()`.
    pub wall: ZonedDateTime,
}

impl DecisionTime {
    /// The wall clock as a point on the time line.
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
