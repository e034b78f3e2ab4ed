//! [`ExpectedView`]: an expected message that has not come, with its forecast.

use jiff::{Timestamp, ZonedDateTime};
use serde::Serialize;

use super::times;
use crate::config::Config;
use crate::store::forecast_file::StoredForecast;
use nowcast_core::{ExpectedForecast, TimeRange};

/// An expected message and when it will probably come. Its keys are those of the JSON.
#[derive(Debug, Clone, Serialize)]
pub struct ExpectedView {
    pub worker: String,
    pub r#type: String,
    pub due: Timestamp,
    /// `p10`, `median` and `p90`; `None` if it is not known.
    pub expected: Option<TimeRange>,
    /// The probability that it is late, in percent; `None` if it is not known.
    pub late_percent: Option<u8>,
}

impl ExpectedView {
    /// Return the expected messages to come, the soonest deadline first, if there is a recent forecast.
    pub fn gather(config: &Config, now: Timestamp) -> Vec<Self> {
        let Some(stored) = StoredForecast::recent(&config.journal.folder, now) else { return Vec::new() };
        let is_expected = |forecast: &ExpectedForecast| {
            let of_kind = |worker: &str, r#type: &str| worker == forecast.worker && r#type == forecast.r#type;
            forecast.deadline > now && config.expect.iter().any(|one| of_kind(&one.worker, &one.r#type))
        };
        let view = |forecast: ExpectedForecast| Self {
            worker: forecast.worker,
            r#type: forecast.r#type,
            due: forecast.deadline,
            expected: forecast.time,
            late_percent: forecast.late,
        };
        let mut expected: Vec<Self> = stored.expected.into_iter().filter(is_expected).map(view).collect();
        expected.sort_by_key(|one| one.due);
        expected
    }

    /// Return worker and type as text.
    pub fn subject(&self) -> String {
        format!("{} ({})", self.worker, self.r#type)
    }

    /// Return deadline and forecast as text. A date is shown where it is not today's, and not the deadline's.
    pub fn describe(&self, now: &ZonedDateTime) -> String {
        let due = self.due.to_zoned_datetime(now.time_zone().clone());
        let minute = |time| times::minute(time, &due);
        let expected = self.expected.map_or_else(
            || "no forecast".to_owned(),
            |time| format!("expected {} ({}–{})", minute(time.median), minute(time.p10), minute(time.p90)),
        );
        let late = match self.late_percent {
            None | Some(0) => String::new(),
            Some(percent) => format!("; {percent} % likely to be late"),
        };
        format!("due {}, {expected}{late}", times::minute(self.due, now))
    }
}
