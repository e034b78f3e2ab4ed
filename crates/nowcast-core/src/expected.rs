//! [`Expected`]: when an expected message was last received, and whether it is late.
//!
//! A day's *deadline* is the moment at which that day's time of day comes in the expectation's zone, its *window* what
//! lies before it. When the clocks skip that time, it comes as much later as they skip; when they
//! show it twice, it is the first.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::clock::{Now, Steady};
use crate::cycle::Cycle;
use crate::cycles::Cycles;
use crate::message::Message;
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
    /// The same in steady time; `None` in old entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_since_steady: Option<Steady>,
    /// When the last one was received.
    pub last_received: Option<Timestamp>,
    /// The same in steady time; `None` in old entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_received_steady: Option<Steady>,
    /// Every deadline up to then was evaluated.
    pub evaluated_until: Timestamp,
    /// The last missed deadline, until a message is received.
    pub late: Option<ZonedDateTime>,
    /// The cycle of the message that missed it, if only a message of that cycle meets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_cycle: Option<Cycle>,
    /// The warnings that the next ones will probably be late, at most one for each deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_risk: Vec<AtRisk>,
}

/// A warning that a message will probably be late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRisk {
    /// The deadline.
    pub deadline: Timestamp,
    /// The beginning of its window.
    pub since: Timestamp,
    /// The cycle of the message that meets it, if it must be of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// When the warning was given.
    pub warned: Timestamp,
    /// Whether later forecasts were better, so that it is no longer at risk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_over: bool,
}

impl AtRisk {
    /// Return whether a message that comes now meets the deadline.
    pub(super) fn is_met_by(&self, message: &Message, now: Timestamp) -> bool {
        match &self.cycle {
            Some(cycle) => message.cycle.as_ref() == Some(cycle),
            None => self.since <= now,
        }
    }
}

/// All expected messages, by worker and message type.
pub type AllExpected = BTreeMap<(String, String), Expected>;

/// A deadline and the beginning of its window.
pub(super) struct Deadline {
    pub(super) at: ZonedDateTime,
    pub(super) since: Timestamp,
    /// The cycle of the message that meets it, if it must be of one.
    pub(super) cycle: Option<Cycle>,
}

/// The same without the cycle.
struct Window {
    at: ZonedDateTime,
    since: Timestamp,
}

impl Expected {
    pub(super) fn new(worker: &str, r#type: &str, now: Now) -> Self {
        Self {
            worker: worker.to_owned(),
            r#type: r#type.to_owned(),
            observed_since: now.wall,
            observed_since_steady: Some(now.steady),
            last_received: None,
            last_received_steady: None,
            evaluated_until: now.wall,
            late: None,
            late_cycle: None,
            at_risk: Vec::new(),
        }
    }

    /// Note a message.
    pub(super) fn receive(&mut self, now: Now) {
        (self.last_received, self.last_received_steady) = (Some(now.wall), Some(now.steady));
    }

    /// Return when the last message was received, by the wall clock as it is set now.
    pub(super) fn last_received(&self, now: Now) -> Option<Timestamp> {
        self.last_received.map(|received| now.wall_of(received, self.last_received_steady))
    }

    /// Return whether a message was received since the window of a deadline began. One between the deadline and its
    /// evaluation counts too: it may have waited for a manager that was down.
    /// For a deadline with a cycle, any message of that cycle counts.
    pub(super) fn is_met(&self, deadline: &Deadline, now: Now, cycles: &Cycles) -> bool {
        if let Some(cycle) = &deadline.cycle {
            return cycles.last(&self.worker, &self.r#type, Some(cycle)).is_some();
        }
        self.last_received(now).is_some_and(|received| deadline.since <= received)
    }

    /// Evaluate deadlines again that are in the future again, since the wall clock was set back. Return whether there may be any.
    pub(super) fn reopen(&mut self, now: Timestamp) -> bool {
        let is_past = |time: Timestamp| time <= now;
        if is_past(self.evaluated_until) {
            return false;
        }
        self.evaluated_until = now;
        self.late = self.late.take().filter(|late| is_past(late.timestamp()));
        self.late_cycle = self.late_cycle.take().filter(|_| self.late.is_some());
        true
    }

    /// Return the next deadline to evaluate.
    pub(super) fn next(&self, expectation: &Expectation, now: Now) -> Option<Timestamp> {
        let first =
            self.evaluated_until.to_zoned_datetime(expectation.zone.clone()).date().yesterday().ok()?;
        self.windows(expectation, now, (0..DAYS).filter_map(|days| first.checked_add(days.days()).ok()))
            .map(|window| window.at.timestamp())
            .next()
    }

    /// Return the last deadline to evaluate that has passed.
    pub(super) fn last(&self, expectation: &Expectation, now: Now) -> Option<Deadline> {
        let last = now.wall.to_zoned_datetime(expectation.zone.clone()).date().tomorrow().ok()?;
        self.deadlines(expectation, now, (0..DAYS).filter_map(|days| last.checked_sub(days.days()).ok()))
            .find(|deadline| deadline.at.timestamp() <= now.wall)
    }

    /// Return the deadline at a moment to come, if there is one that will be evaluated.
    pub(super) fn open_deadline(
        &self,
        expectation: &Expectation,
        at: Timestamp,
        now: Now,
    ) -> Option<Deadline> {
        let date = at.to_zoned_datetime(expectation.zone.clone()).date();
        // A time that the clocks skip at midnight may be shown on the next day.
        let dates = [date, date.yesterday().ok()?];
        self.deadlines(expectation, now, dates.into_iter())
            .find(|deadline| deadline.at.timestamp() == at && now.wall < at)
    }

    /// Return the deadlines after now and until a moment, the soonest first.
    pub(super) fn to_come(
        &self,
        expectation: &Expectation,
        now: Now,
        until: Timestamp,
    ) -> impl Iterator<Item = Deadline> {
        let date = |moment: Timestamp| moment.to_zoned_datetime(expectation.zone.clone()).date();
        // A time that the clocks skip at midnight may be shown on the next day.
        let first = date(now.wall).yesterday().ok();
        let dates = first.into_iter().flat_map(|first| first.series(1.day()));
        let last = date(until);
        self.deadlines(expectation, now, dates.take_while(move |date| *date <= last))
            .filter(move |deadline| (now.wall..=until).contains(&deadline.at.timestamp()))
    }

    /// Return the deadlines to evaluate on these days.
    fn deadlines(
        &self,
        expectation: &Expectation,
        now: Now,
        dates: impl Iterator<Item = Date>,
    ) -> impl Iterator<Item = Deadline> {
        self.windows(expectation, now, dates).map(|Window { at, since }| {
            // The configuration is checked with a sample; a label that cannot be made of another time is rather none than wrong.
            let cycle = expectation.cycle.as_ref().and_then(|format| format.label(&at).ok());
            Deadline { at, since, cycle }
        })
    }

    /// Return the same without the labels of cycles, which take longest to make.
    fn windows(
        &self,
        expectation: &Expectation,
        now: Now,
        dates: impl Iterator<Item = Date>,
    ) -> impl Iterator<Item = Window> {
        let observed_since = now.wall_of(self.observed_since, self.observed_since_steady);
        dates
            .filter(|date| expectation.days.contains(&date.weekday()))
            .filter_map(|date| window(expectation, date))
            .filter(move |window| {
                window.at.timestamp() > self.evaluated_until && window.since > observed_since
            })
    }
}

/// Return the deadline of a day.
fn window(expectation: &Expectation, date: Date) -> Option<Window> {
    let Expectation { by, since, zone, .. } = expectation;
    let begin = if since < by { date } else { date.yesterday().ok()? };
    let moment = |date: Date, time| date.to_datetime(time).to_zoned_datetime(zone.clone()).ok();
    Some(Window { at: moment(date, *by)?, since: moment(begin, *since)?.timestamp() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The present, where only the times of the messages count.
    const NOW: Now = Now::by_wall_clock(Timestamp::UNIX_EPOCH);

    fn expectation(by: &str, since: &str, days: &[jiff::civil::Weekday]) -> Expectation {
        Expectation {
            worker: "rivers".to_owned(),
            r#type: "success".to_owned(),
            by: by.parse().unwrap(),
            since: since.parse().unwrap(),
            days: days.to_vec(),
            zone: zone("America/Vancouver"),
            cycle: None,
            warn_at: None,
        }
    }

    /// The time zone of a moment: the core itself never reads the database of time zones.
    fn zone(name: &str) -> jiff::tz::TimeZone {
        let moment: jiff::ZonedDateTime = format!("2026-03-14T12:00[{name}]").parse().unwrap();
        moment.time_zone().clone()
    }

    fn every_day() -> Vec<jiff::civil::Weekday> {
        jiff::civil::Weekday::Sunday.cycle_forward().take(7).collect()
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Now {
        Now::by_wall_clock(moment(text))
    }

    #[test]
    fn the_next_deadline_is_the_first_whose_window_begins_later() {
        let expectation = expectation("09:00", "05:00", &every_day());
        for (since, next) in [
            ("2026-03-14T11:59:00Z", "2026-03-14T16:00:00Z"),
            ("2026-03-14T12:00:00Z", "2026-03-15T16:00:00Z"),
        ] {
            let expected = Expected::new("rivers", "success", at(since));
            assert_eq!(expected.next(&expectation, NOW), Some(moment(next)), "observed since {since}");
        }
    }

    #[test]
    fn a_window_may_begin_on_the_day_before_and_deadlines_may_be_on_some_days_only() {
        let sunday = expectation("03:15", "20:00", &[jiff::civil::Weekday::Sunday]);
        let expected = Expected::new("rivers", "success", at("2026-03-10T00:00:00Z"));
        assert_eq!(expected.next(&sunday, NOW), Some(moment("2026-03-15T10:15:00Z")));
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_as_much_later() {
        let expectation = expectation("02:30", "01:00", &every_day());
        let expected = Expected::new("rivers", "success", at("2026-03-08T08:00:00Z"));
        assert_eq!(expected.next(&expectation, NOW), Some(moment("2026-03-08T10:30:00Z")), "03:30 PDT");
    }

    #[test]
    fn a_message_since_the_window_began_meets_the_deadline() {
        let expectation = expectation("09:00", "05:00", &every_day());
        let mut expected = Expected::new("rivers", "success", at("2026-03-13T00:00:00Z"));
        assert!(expected.last(&expectation, at("2026-03-13T15:59:59Z")).is_none());
        let deadline = expected.last(&expectation, at("2026-03-14T18:00:00Z")).unwrap();
        assert_eq!(deadline.at.timestamp(), moment("2026-03-14T16:00:00Z"));
        for (received, is_met) in [("11:59:59", false), ("12:00:00", true), ("17:00:00", true)] {
            expected.receive(at(&format!("2026-03-14T{received}Z")));
            assert_eq!(expected.is_met(&deadline, NOW, &Cycles::default()), is_met, "{received}");
        }
        expected.evaluated_until = moment("2026-03-14T16:00:00Z");
        assert!(expected.last(&expectation, at("2026-03-14T18:00:00Z")).is_none());
    }
}
