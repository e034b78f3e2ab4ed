//! [`Ends`]: when a run to come would end if it went as one of the past: after the same time, or at the same time of day.
//!
//! A worker that waits for data ends by the clock: its own delay must not add up with that of what launches it. Which of both a kind of
//! run does is decided by its past: the end of each run is predicted from the others.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::history::{PastEnd, PastRun};

/// The past runs by which that is decided. Fewer than this end after the same time.
const FEWEST: usize = 5;

/// How many percent of the error of durations that of the clock may have, or durations are taken. Runs that are launched at the same
/// time each day have about the same errors.
const CLEARLY_BETTER: i128 = 80;

/// When runs of a kind end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// After a duration.
    AfterDuration,
    /// At a time of day, but not before their launch.
    ByClock,
}

impl Ends {
    /// Return what the past of alike runs says.
    #[must_use]
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a PastRun>, zone: &TimeZone) -> Self {
        let (mut durations, mut clocks) = (Vec::new(), Vec::new());
        for run in runs {
            if let PastEnd::Ended { after, at, .. } = &run.end {
                durations.push(after.as_millis());
                let midnight =
                    zone.to_datetime(run.launched).date().to_datetime(jiff::civil::Time::midnight());
                clocks.push(zone.to_datetime(*at).duration_since(midnight).as_millis());
            }
        }
        let is_by_clock =
            durations.len() >= FEWEST && error(clocks) * 100 < error(durations) * CLEARLY_BETTER;
        if is_by_clock { Self::ByClock } else { Self::AfterDuration }
    }

    /// Return when a run that is launched at a moment would end as a past one did. Of a past run that did not end by itself, it is when
    /// it was last known to run.
    #[must_use]
    pub fn end(self, past: &PastRun, launched: Timestamp, zone: &TimeZone) -> Timestamp {
        match (self, &past.end) {
            (Self::ByClock, PastEnd::Ended { at, .. }) => {
                let (past_day, day) =
                    (zone.to_datetime(past.launched).date(), zone.to_datetime(launched).date());
                let days = past_day.until(day).map_or(0, |span| span.get_days());
                let end = zone.to_datetime(*at).checked_add(days.days()).ok();
                let end = end.and_then(|end| zone.to_timestamp(end).ok());
                end.unwrap_or(launched).max(launched)
            }
            _ => launched.checked_add(past.end.after()).unwrap_or(Timestamp::MAX),
        }
    }
}

/// Return the mean distance of each value from the median of the others.
fn error(mut values: Vec<i128>) -> i128 {
    values.sort_unstable();
    let count = values.len();
    let without = |index: usize, at: usize| values[if at < index { at } else { at + 1 }];
    let median_without =
        |index| i128::midpoint(without(index, (count - 2) / 2), without(index, (count - 1) / 2));
    let errors = values.iter().enumerate().map(|(index, value)| (value - median_without(index)).abs());
    errors.sum::<i128>() / (count as i128)
}
