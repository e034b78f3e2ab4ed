//! [`Expected`]: when an expected message was last received, and whether it is late.
//!
//! A day's *deadline* is the moment at which that day's time of day comes in the expectation's zone, its *window* what
//! lies before it. When the clocks skip that time, it comes as much later as they skip; when they
//! show it twice, it is the first.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::policy::Expectation;

/// Days among which the next deadline is searched: more than a week, since a clock change or the first window may cost one.
const DAYS: i8 = 16;

/// The state of one kind of expected message, which may have several deadlines a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The worker.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// Since when such messages are observed. Windows that began earlier are not evaluated.
    pub observed_since: Timestamp,
    /// When the last one was received.
    pub last_received: Option<Timestamp>,
    /// Every deadline up to then was evaluated.
    pub evaluated_until: Timestamp,
    /// The last missed deadline, until a message is received.
    pub late: Option<ZonedDateTime>,
}

/// All expected messages, by worker and message type.
pub type AllExpected = BTreeMap<(String, String), Expected>;

/// A deadline and the beginning of its window.
pub(super) struct Deadline {
    pub(super) at: ZonedDateTime,
    since: Timestamp,
}

impl Expected {
    pub(super) fn new(worker: &str, r#type: &str, now: Timestamp) -> Self {
        let (worker, r#type) = (worker.to_owned(), r#type.to_owned());
        Self { worker, r#type, observed_since: now, last_received: None, evaluated_until: now, late: None }
    }

    /// Return whether a message was received since the window of a deadline began. One between the deadline and its
    /// evaluation counts too: it may have waited for a manager that was down.
    pub(super) fn is_met(&self, deadline: &Deadline) -> bool {
        self.last_received.is_some_and(|received| deadline.since <= received)
    }

    /// Return the next deadline to evaluate.
    pub(super) fn next(&self, expectation: &Expectation) -> Option<Timestamp> {
        let first =
            self.evaluated_until.to_zoned_datetime(expectation.zone.clone()).date().yesterday().ok()?;
        self.deadlines(expectation, (0..DAYS).filter_map(|days| first.checked_add(days.days()).ok()))
            .map(|deadline| deadline.at.timestamp())
            .next()
    }

    /// Return the last deadline to evaluate that has passed.
    pub(super) fn last(&self, expectation: &Expectation, now: Timestamp) -> Option<Deadline> {
        let last = now.to_zoned_datetime(expectation.zone.clone()).date().tomorrow().ok()?;
        self.deadlines(expectation, (0..DAYS).filter_map(|days| last.checked_sub(days.days()).ok()))
            .find(|deadline| deadline.at.timestamp() <= now)
    }

    /// Return the deadlines to evaluate on these days.
    fn deadlines(
        &self,
        expectation: &Expectation,
        dates: impl Iterator<Item = Date>,
    ) -> impl Iterator<Item = Deadline> {
        dates
            .filter(|date| expectation.days.contains(&date.weekday()))
            .filter_map(|date| deadline(expectation, date))
            .filter(|deadline| {
                deadline.at.timestamp() > self.evaluated_until && deadline.since > self.observed_since
            })
    }
}

/// Return the deadline of a day.
fn deadline(expectation: &Expectation, date: Date) -> Option<Deadline> {
    let Expectation { by, since, zone, .. } = expectation;
    let begin = if since < by { date } else { date.yesterday().ok()? };
    let moment = |date: Date, time| date.to_datetime(time).to_zoned_datetime(zone.clone()).ok();
    Some(Deadline { at: moment(date, *by)?, since: moment(begin, *since)?.timestamp() })
}
