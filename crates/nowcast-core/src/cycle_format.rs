//! [`CycleFormat`]: makes the label of a cycle from a time. It reads no clock.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

use crate::cycle::Cycle;

/// A format of `strftime`, and how far the time is moved before it is formatted.
#[derive(Debug, Clone)]
pub struct CycleFormat {
    format: String,
    shift: Span,
}

impl CycleFormat {
    /// Check a format, such as `%Y-%m-%d`, for times of a zone.
    ///
    /// # Errors
    /// The format makes no label.
    pub fn parse(format: &str, shift: Span, zone: &TimeZone) -> Result<Self, String> {
        let format = Self { format: format.to_owned(), shift };
        // As good as any other time.
        let sample = Timestamp::UNIX_EPOCH.to_zoned_datetime(zone.clone());
        format.label(&sample)?;
        Ok(format)
    }

    /// Return the format without the shift.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.format
    }

    /// Return the format with the zone's offset at its end, such as `%Y-%m-%dT%H%z`.
    #[must_use]
    pub fn with_offset(&self) -> Self {
        Self { format: format!("{}%z", self.format), shift: self.shift }
    }

    /// Return the label of a time in its own zone.
    ///
    /// # Errors
    /// The moved time is beyond the calendar, or the format makes no label.
    pub fn label(&self, time: &ZonedDateTime) -> Result<Cycle, String> {
        let moved = time.checked_add(self.shift).map_err(|error| error.to_string())?;
        let text = jiff::fmt::strtime::format(&self.format, &moved).map_err(|error| {
            format!("{:?} is not a format of strftime, such as %Y-%m-%d: {error}", self.format)
        })?;
        Cycle::parse(&text).map_err(|error| error.to_string())
    }
}

/// Read a shift, such as `1d` or `-6h`.
///
/// # Errors
/// It is not a span of time.
pub fn shift(text: &str) -> Result<Span, String> {
    text.parse().map_err(|_| format!("{text:?} is not a span of time; write 1d, 6h or -1d"))
}

impl PartialEq for CycleFormat {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.shift.fieldwise() == other.shift.fieldwise()
    }
}

impl Eq for CycleFormat {}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(format: &str, moved: Option<&str>, time: &str) -> String {
        let time: ZonedDateTime = time.parse().unwrap();
        let moved = moved.map(|text| shift(text).unwrap()).unwrap_or_default();
        let format = CycleFormat::parse(format, moved, time.time_zone()).unwrap();
        format.label(&time).unwrap().to_string()
    }

    #[test]
    fn a_label_is_the_time_in_its_zone_moved_by_the_shift() {
        let evening = "2026-11-30T18:00:00-08:00[America/Vancouver]";
        assert_eq!(label("%Y-%m-%d", None, evening), "2026-11-30");
        assert_eq!(label("%Y-%m-%d", Some("1d"), evening), "2026-12-01");
        assert_eq!(label("%Y-%m-%dT%H", Some("-6h"), evening), "2026-11-30T12");
        assert_eq!(label("hindcast-%j", Some("1 day"), "2026-12-31T00:00:00+00:00[UTC]"), "hindcast-001");
        // A day is a day although one of 25 hours lies between.
        assert_eq!(
            label("%Y-%m-%dT%H", Some("1d"), "2026-10-31T12:00:00-07:00[America/Vancouver]"),
            "2026-11-01T12"
        );
    }

    #[test]
    fn a_format_that_makes_no_label_is_refused() {
        let moment: jiff::ZonedDateTime = "2026-03-14T12:00[America/Vancouver]".parse().unwrap();
        let vancouver = moment.time_zone().clone();
        for (format, zone, reason) in [
            ("%Y/%m/%d", &TimeZone::UTC, "invalid cycle \"1970/01/01\""),
            ("", &TimeZone::UTC, "invalid cycle \"\""),
            ("%!", &TimeZone::UTC, "is not a format of strftime"),
            ("%Q", &vancouver, "invalid cycle \"America/Vancouver\""),
        ] {
            let error = CycleFormat::parse(format, Span::new(), zone).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(shift("soon").unwrap_err().starts_with("\"soon\" is not a span of time"));
    }
}
