//! [`Expected`]: which messages must have come before a time of day, when they came last, and when they are late.
//!
//! A day's *deadline* is the moment at which that day's time of day comes in the expectation's zone, its *window* what
//! lies before it. When the clocks skip that time, it comes as much later as they skip; when they
//! show it twice, it is the first.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::policy::Expectation;

/// Days that are looked at for the next deadline: more than a week, since a clock change or the first
/// window may take one of them.
const DAYS: i8 = 16;

/// What is known of one kind of message that is expected. There may be several times of day for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The worker.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// Since when such messages are noticed. A window that began by then is not judged.
    pub observed_since: Timestamp,
    /// When the last one came.
    pub last_received: Option<Timestamp>,
    /// Every deadline up to then was evaluated.
    pub evaluated_until: Timestamp,
    /// The last deadline that passed without one, until one comes.
    pub late: Option<ZonedDateTime>,
}

/// What is expected, by worker and message type.
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

    /// Whether a message has come since a deadline's window began. One that came after the deadline and before it was
    /// judged will do: it may have waited for a manager that was not there.
    pub(super) fn is_met(&self, deadline: &Deadline) -> bool {
        self.last_received.is_some_and(|received| deadline.since <= received)
    }

    /// The next deadline that is to be judged.
    pub(super) fn next(&self, expectation: &Expectation) -> Option<Timestamp> {
        let first =
            self.evaluated_until.to_zoned_datetime(expectation.zone.clone()).date().yesterday().ok()?;
        self.deadlines(expectation, (0..DAYS).filter_map(|days| first.checked_add(days.days()).ok()))
            .map(|deadline| deadline.at.timestamp())
            .next()
    }

    /// The last deadline that is to be judged and has come by now.
    pub(super) fn last(&self, expectation: &Expectation, now: Timestamp) -> Option<Deadline> {
        let last = now.to_zoned_datetime(expectation.zone.clone()).date().tomorrow().ok()?;
        self.deadlines(expectation, (0..DAYS).filter_map(|days| last.checked_sub(days.days()).ok()))
            .find(|deadline| deadline.at.timestamp() <= now)
    }

    /// The deadlines of these days that are to be judged.
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

/// The deadline of a day.
fn deadline(expectation: &Expectation, date: Date) -> Option<Deadline> {
    let Expectation { by, since, zone, .. } = expectation;
    let begin = if since < by { date } else { date.yesterday().ok()? };
    let moment = |date: Date, time| date.to_datetime(time).to_zoned_datetime(zone.clone()).ok();
    Some(Deadline { at: moment(date, *by)?, since: moment(begin, *since)?.timestamp() })
}
