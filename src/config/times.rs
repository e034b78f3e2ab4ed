//! [`Times`]: the times of a cron pattern. This module never reads a clock.
//!
//! When clocks change, a time of day occurs once on each day: a skipped time at the end of the gap, a repeated time at
//! its first occurrence. A wildcard (`*`, `*/10`) matches whenever the clock shows it. Those are the rules of `croner`
//! and of Vixie's cron.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, ZonedDateTime};

/// The times of something that recurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times(Cron);

impl Times {
    /// Parse a pattern: minute, hour, day, month and weekday; with six fields, the first is the second.
    ///
    /// # Errors
    /// When the text is not a pattern, or names a day that no month has. The error says what to do.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let times = parser.parse(pattern).map(Times).map_err(|error| {
            format!(
                "{pattern:?} is not a time that comes: {error}; cron is written as minute hour day month weekday: \
                 '15 5 * * mon-fri'"
            )
        })?;
        match times.after(&jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::UTC)) {
            Some(_) => Ok(times),
            None => Err(format!("{pattern:?} never comes: no month has such a day")),
        }
    }

    /// Return the first time after a moment, in the moment's time zone, or `None` if there is none.
    #[must_use]
    pub fn after(&self, moment: &ZonedDateTime) -> Option<ZonedDateTime> {
        self.0.find_next_occurrence(&CronMoment(moment.clone()), false).ok().map(|found| found.0)
    }
}

/// A moment in the form that `croner` requires.
#[derive(Clone)]
struct CronMoment(ZonedDateTime);

impl CronDateTime for CronMoment {
    fn to_civil(&self) -> CivilDateTime {
        let of = |part: i8| u32::from(part.unsigned_abs());
        let (date, time) = (self.0.date(), self.0.time());
        let date = CivilDate::from_ymd_opt(date.year().into(), of(date.month()), of(date.day()));
        let time = CivilTime::from_hms_opt(of(time.hour()), of(time.minute()), of(time.second()));
        CivilDateTime::new(
            date.expect("jiff's dates are in the calendar"),
            time.expect("jiff's times are on the clock"),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::from(day.unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |part: u32| i8::try_from(part).map_err(|_| CronError::InvalidTime);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day, hour) = (part(civil.month())?, part(civil.day())?, part(civil.hour())?);
        let datetime = DateTime::new(year, month, day, hour, part(civil.minute())?, part(civil.second())?, 0)
            .map_err(|_| CronError::InvalidDate)?;
        let found = self.0.time_zone().to_ambiguous_zoned_datetime(datetime);
        let valid = |moment: Result<ZonedDateTime, jiff::Error>| {
            moment.map(CronMoment).map_err(|_| CronError::InvalidTime)
        };
        Ok(match found.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(valid(found.unambiguous())?),
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(valid(found.clone().earlier())?, valid(found.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(CronMoment)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}
