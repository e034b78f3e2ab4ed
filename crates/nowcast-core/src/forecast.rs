//! [`ExpectedForecast`]: what a forecast says of an expected message. It is made outside of the core.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A forecast of one expected message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedForecast {
    /// The worker.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// The deadline that the forecast is for.
    pub deadline: Timestamp,
    /// When the message is expected, if that is known.
    pub time: Option<TimeRange>,
    /// The probability that it is late, in percent, if that is known.
    pub late: Option<u8>,
}

/// When something is expected to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// It comes before that with a probability of 10 %.
    pub p10: Timestamp,
    /// It is as probably earlier as later.
    pub median: Timestamp,
    /// It comes before that with a probability of 90 %.
    pub p90: Timestamp,
}

impl ExpectedForecast {
    /// Return when the message is expected, as text.
    pub(super) fn when(&self, zone: &TimeZone) -> String {
        let Some(time) = self.time else { return "it is not known when it comes".to_owned() };
        let clock = |time: Timestamp| time.to_zoned_datetime(zone.clone()).strftime("%H:%M");
        format!("expected at {} ({} to {})", clock(time.median), clock(time.p10), clock(time.p90))
    }
}
