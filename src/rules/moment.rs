//! A date of the rules: parsing, formatting, shifting and comparing. It must never know of Lua.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, ZonedDateTime};

/// The longest text that is parsed as a date or as a date's format, in bytes.
const LONGEST_TEXT: usize = 1_000;

/// A date, or a date with a time of day, in a time zone or in none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    civil: DateTime,
    has_time: bool,
    /// The same moment on the time line. In the hour that comes twice in autumn, the clock time and the zone do not
    /// tell which of the two it is.
    zoned: Option<ZonedDateTime>,
}

/// The distance by which a date is moved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shift {
    pub(super) months: i64,
    pub(super) days: i64,
    /// `None` keeps a date without a time of day as it is.
    pub(super) seconds: Option<i64>,
}

impl Shift {
    /// Add `count` of a unit; `None` if the unit is unknown or the result overflows.
    pub(super) fn add(&mut self, unit: &str, count: i64) -> Option<()> {
        let (field, factor) = match unit {
            "years" => (&mut self.months, 12),
            "months" => (&mut self.months, 1),
            "weeks" => (&mut self.days, 7),
            "days" => (&mut self.days, 1),
            "hours" => (self.seconds.get_or_insert(0), 3_600),
            "minutes" => (self.seconds.get_or_insert(0), 60),
            "seconds" => (self.seconds.get_or_insert(0), 1),
            _ => return None,
        };
        *field = field.checked_add(count.checked_mul(factor)?)?;
        Some(())
    }
}

impl Moment {
    pub(super) fn from_date(date: Date) -> Self {
        Self { civil: date.at(0, 0, 0, 0), has_time: false, zoned: None }
    }

    /// Create a moment from the clock time in a zone: the first one of a time that comes twice, and a time that the
    /// clock skips is moved later by the length of the jump.
    fn on_clock(civil: DateTime, zone: Option<TimeZone>) -> Self {
        let zoned = zone.and_then(|zone| civil.to_zoned_datetime(zone).ok());
        let civil = zoned.as_ref().map_or(civil, ZonedDateTime::datetime);
        Self { civil, has_time: true, zoned }
    }

    pub(super) fn from_yaml(time: pyyaml::DateTime) -> Self {
        let zone = time.offset.and_then(|seconds| Offset::from_seconds(seconds).ok()).map(TimeZone::fixed);
        Self::on_clock(time.civil, zone)
    }

    pub(super) fn from_zoned(now: &ZonedDateTime) -> Self {
        Self { civil: now.datetime(), has_time: true, zoned: Some(now.clone()) }
    }

    pub(super) fn civil(&self) -> DateTime {
        self.civil
    }

    /// Return the date as a YAML value, in which form it can be a key of a mapping.
    pub(super) fn to_yaml(&self) -> pyyaml::Value {
        if !self.has_time {
            return pyyaml::Value::Date(self.civil.date());
        }
        let offset = self.zoned.as_ref().map(|zoned| zoned.offset().seconds());
        pyyaml::Value::DateTime(pyyaml::DateTime { civil: self.civil, offset })
    }

    pub(super) fn zoned(&self) -> Option<&ZonedDateTime> {
        self.zoned.as_ref()
    }

    /// Format the date in ISO 8601: `2026-03-14`, `2026-03-14T05:15:00`, `2026-03-14T05:15:00-07:00`.
    pub(super) fn iso(&self) -> String {
        if !self.has_time {
            return self.civil.date().to_string();
        }
        match &self.zoned {
            Some(zoned) => format!("{}{}", zoned.datetime(), zoned.strftime("%:z")),
            None => self.civil.to_string(),
        }
    }

    /// Parse ISO 8601 text: a date, or a date with a time and an optional offset.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > LONGEST_TEXT {
            return Err(format!("a text of {} bytes is not a date", text.len()));
        }
        if text.len() <= 10
            && let Ok(date) = text.parse::<Date>()
        {
            return Ok(Self::from_date(date));
        }
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
        for format in formats {
            for zone in ["", "%:z", "%z", " %:z", "Z"] {
                if let Ok(parsed) = strtime::parse(format!("{format}{zone}"), text)
                    && let Ok(civil) = parsed.to_datetime()
                {
                    let offset = if zone == "Z" { Some(Offset::UTC) } else { parsed.offset() };
                    return Ok(Self::on_clock(civil, offset.map(TimeZone::fixed)));
                }
            }
        }
        Err(format!(
            "{text:?} is not a date; write it as 2026-03-14 or 2026-03-14T05:15:00, or give its format: \
             date(text, \"%d/%m/%Y\")"
        ))
    }

    /// Parse text by a `strptime` format.
    pub(super) fn parse_as(text: &str, format: &str) -> Result<Self, String> {
        check_format(format)?;
        if text.len() > LONGEST_TEXT {
            return Err(format!("a text of {} bytes is not a date", text.len()));
        }
        let parsed =
            strtime::parse(format, text).map_err(|error| format!("{text:?} is not {format:?}: {error}"))?;
        let date = parsed
            .to_date()
            .map_err(|error| format!("{text:?} read as {format:?} is not a date: {error}"))?;
        let zone = parsed.offset().map(TimeZone::fixed);
        Ok(match (parsed.hour(), parsed.to_time()) {
            (Some(_), Ok(time)) => Self::on_clock(date.to_datetime(time), zone),
            _ => Self::from_date(date),
        })
    }

    pub(super) fn format(&self, format: &str) -> Result<String, String> {
        check_format(format)?;
        let formatted = match &self.zoned {
            Some(zoned) => strtime::format(format, zoned),
            None => strtime::format(format, self.civil),
        };
        formatted.map_err(|error| format!("{format:?}: {error}"))
    }

    /// Return this date moved by calendar units, the largest first: a month after January 31st is the last day of
    /// February.
    pub(super) fn shift(&self, by: Shift) -> Result<Self, String> {
        let too_far = |error: jiff::Error| format!("{} cannot be shifted that far: {error}", self.iso());
        let mut civil = self.civil;
        // Each unit by itself, because a `Span` has a single sign.
        for span in [Span::new().try_months(by.months), Span::new().try_days(by.days)] {
            civil = span.and_then(|span| civil.checked_add(span)).map_err(too_far)?;
        }
        let has_time = self.has_time || by.seconds.is_some();
        let moved = match &self.zoned {
            Some(zoned) if civil != self.civil => Self::on_clock(civil, Some(zoned.time_zone().clone())),
            zoned => Self { civil, has_time, zoned: zoned.clone() },
        };
        let Some(seconds) = by.seconds else { return Ok(moved) };
        let seconds = SignedDuration::from_secs(seconds);
        match &moved.zoned {
            Some(zoned) => zoned.checked_add(seconds).map(|zoned| Self::from_zoned(&zoned)),
            None => civil.checked_add(seconds).map(|civil| Self { civil, ..moved }),
        }
        .map_err(too_far)
    }

    /// Return the time since another date: on the time line if both have a zone, else by the calendar.
    pub(super) fn since(&self, other: &Moment) -> SignedDuration {
        match (&self.zoned, &other.zoned) {
            (Some(this), Some(other)) => this.duration_since(other),
            _ => self.civil.duration_since(other.civil),
        }
    }

    pub(super) fn compare(&self, other: &Moment) -> Ordering {
        self.since(other).cmp(&SignedDuration::ZERO)
    }
}

/// Return an error if a format is not for `strftime`, in particular if it consists of the tokens of Python's arrow.
pub(super) fn check_format(format: &str) -> Result<(), String> {
    if format.len() > LONGEST_TEXT {
        return Err(format!("a format of {} bytes is too long", format.len()));
    }
    if !format.contains('%') && ["YY", "MM", "DD", "HH"].iter().any(|token| format.contains(token)) {
        let tokens = [
            ("YYYY", "%Y"),
            ("YY", "%y"),
            ("MMMM", "%B"),
            ("MMM", "%b"),
            ("MM", "%m"),
            ("DDDD", "%j"),
            ("DD", "%d"),
            ("HH", "%H"),
            ("mm", "%M"),
            ("ss", "%S"),
            ("ZZ", "%:z"),
        ];
        let meant =
            tokens.iter().fold(format.to_owned(), |format, (token, code)| format.replace(token, code));
        return Err(format!("{format:?} is a format of arrow's; write {meant:?}"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "moment_tests.rs"]
mod tests;
