//! Times on the command line.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ZonedDateTime};

use crate::config::duration;
pub(super) use crate::view::times::{minute, second, span};

/// Read a past time, such as `2d` (two days ago), `06:00` (the last one), `2026-03-14` or `2026-03-14 06:00`.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    before(text, &ZonedDateTime::now())
}

fn before(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    let refuse =
        || "use a time (06:00, 2026-03-14, 2026-03-14 06:00) or a duration before now (2d)".to_owned();
    if let Ok(span) = duration::parse(text) {
        return now.timestamp().checked_sub(span).map_err(|_| refuse());
    }
    if let Some(time) = dated(text, now) {
        return time;
    }
    let time: Time = text.parse().map_err(|_| refuse())?;
    let today = on(now.date(), time, now).filter(|today| today <= &now.timestamp());
    today.or_else(|| on(now.date().yesterday().ok()?, time, now)).ok_or_else(refuse)
}

/// Read a time with its date, or return `None` for a text without one. Try this before a time of day, which jiff also
/// reads from the end of a dated time.
pub(super) fn dated(text: &str, now: &ZonedDateTime) -> Option<Result<Timestamp, String>> {
    if let Ok(time) = text.parse() {
        return Some(Ok(time));
    }
    let civil: DateTime = text.parse().ok()?;
    let local = civil.to_zoned_datetime(now.time_zone().clone());
    let too_far = |_| "out of range; use a time between the year -9999 and 9999-12-30".to_owned();
    Some(local.map(|local| local.timestamp()).map_err(too_far))
}

/// Return a time of day on a date.
pub(super) fn on(date: Date, time: Time, now: &ZonedDateTime) -> Option<Timestamp> {
    let local = date.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()?;
    Some(local.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_time_is_read_as_people_write_it() {
        let now: ZonedDateTime = "2026-03-14T04:40:00-07:00[America/Vancouver]".parse().unwrap();
        for (text, expected) in [
            ("2d", "2026-03-12T11:40:00Z"),
            ("04:00", "2026-03-14T11:00:00Z"),
            ("06:00", "2026-03-13T13:00:00Z"),
            ("2026-03-01", "2026-03-01T08:00:00Z"),
            ("2026-03-01 06:00", "2026-03-01T14:00:00Z"),
            ("2026-03-01T06:00:00Z", "2026-03-01T06:00:00Z"),
        ] {
            assert_eq!(before(text, &now), Ok(expected.parse().unwrap()), "{text}");
        }
        assert!(before("soon", &now).is_err());
        for text in ["9999-12-31", "9999-12-31 23:00"] {
            assert!(before(text, &now).unwrap_err().contains("out of range"), "{text}");
        }
    }
}
