//! [`LaunchedTimes`]: the times for which an entry of the schedule was launched.
//!
//! The wall clock can be set, so a time can come several times and in any order. A launch for one time says nothing about
//! another, so each is kept by itself.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

/// Times that are longer ago are not caught up: after a month their launches are no longer useful.
pub const CATCH_UP_LIMIT: SignedDuration = SignedDuration::from_hours(31 * 24);

/// The most times that are kept of an entry: a little more than an entry of every minute has within [`CATCH_UP_LIMIT`].
const MOST_KEPT: usize = 50_000;

/// How many times a launch may remove. More than it adds, so that expired times disappear; few, so that a launch by a clock that is
/// years ahead does not remove all others.
const MOST_REMOVED: usize = 2;

/// The times for which an entry of the schedule was launched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchedTimes(BTreeSet<Timestamp>);

impl LaunchedTimes {
    /// Return whether the entry was launched for a time.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.0.contains(&time)
    }

    /// Return the times, the earliest first.
    pub fn iter(&self) -> impl Iterator<Item = Timestamp> {
        self.0.iter().copied()
    }

    /// Return the last time that is not after another.
    #[must_use]
    pub fn last_until(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.range(..=time).next_back().copied()
    }

    /// Return the times that a launch for `due` removes: the earliest ones if they are before the limit for `due`, or too many.
    #[must_use]
    pub fn expired(&self, due: Timestamp) -> Vec<Timestamp> {
        let limit = due.checked_sub(CATCH_UP_LIMIT).unwrap_or(Timestamp::MIN);
        let is_full = self.0.len() >= MOST_KEPT;
        self.iter().take(MOST_REMOVED).filter(|time| is_full || *time < limit).collect()
    }

    /// Add a time, and remove others.
    pub fn add(&mut self, due: Timestamp, expired: &[Timestamp]) {
        for time in expired {
            self.0.remove(time);
        }
        self.0.insert(due);
    }
}

impl FromIterator<Timestamp> for LaunchedTimes {
    fn from_iter<I: IntoIterator<Item = Timestamp>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const YEAR: i64 = 365 * 24 * 60 * MINUTE;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + second).unwrap()
    }

    fn launch(times: &mut LaunchedTimes, second: i64) {
        let expired = times.expired(at(second));
        times.add(at(second), &expired);
    }

    #[test]
    fn times_are_kept_until_they_are_no_longer_caught_up() {
        let mut times = LaunchedTimes::default();
        let month = CATCH_UP_LIMIT.as_secs();
        for minute in 0..=month / MINUTE {
            launch(&mut times, minute * MINUTE);
        }
        assert!(times.contains(at(0)) && times.contains(at(month)));
        launch(&mut times, month + MINUTE);
        assert!(!times.contains(at(0)) && times.contains(at(MINUTE)));
        assert_eq!(i64::try_from(times.iter().count()), Ok(month / MINUTE + 1));
    }

    #[test]
    fn launches_by_a_clock_that_is_years_ahead_remove_few() {
        let mut times: LaunchedTimes = (0..100).map(|minute| at(minute * MINUTE)).collect();
        launch(&mut times, YEAR);
        assert_eq!(times.last_until(at(YEAR - 1)), Some(at(99 * MINUTE)));
        assert_eq!(times.iter().next(), Some(at(2 * MINUTE)));
        launch(&mut times, 100 * MINUTE);
        assert_eq!(times.iter().count(), 100, "and none by a clock that is right again");
    }

    #[test]
    fn an_entry_of_every_second_keeps_a_limited_number() {
        let mut times = LaunchedTimes::default();
        for second in 0..60_000 {
            launch(&mut times, second);
        }
        assert!(times.iter().count() <= MOST_KEPT);
        assert!(times.contains(at(59_999)) && times.contains(at(10_001)));
    }
}
