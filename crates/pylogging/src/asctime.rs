//! `%(asctime)s`: the local time of a line, formatted once a second. This module never reads the clock for a line.

use std::sync::{Mutex, PoisonError};

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Python's default format, which is followed by a comma and milliseconds.
const DEFAULT: &str = "%Y-%m-%d %H:%M:%S";

/// A `datefmt`, or Python's default, and the text of the last second.
#[derive(Debug)]
pub(super) struct Asctime {
    format: String,
    milliseconds: bool,
    last: Mutex<(i64, String)>,
}

impl Asctime {
    /// Parse a `datefmt`. Return an error with the reason if a directive is unknown.
    pub fn new(datefmt: &str) -> Result<Self, jiff::Error> {
        let format = spell_out(datefmt);
        let now = Timestamp::now().as_second();
        let text = show(&format, now)?;
        Ok(Self { format, milliseconds: false, last: Mutex::new((now, text)) })
    }

    /// Format a time.
    pub fn text(&self, time: Timestamp) -> String {
        let second = time.as_second();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != second {
            // The format was tried when it was parsed; a time that it cannot show is left blank.
            *last = (second, show(&self.format, second).unwrap_or_default());
        }
        let mut text = String::with_capacity(last.1.len() + 4);
        text.push_str(&last.1);
        if self.milliseconds {
            // Every line has them, and `format!` takes six times as long.
            let milliseconds = time.subsec_millisecond().unsigned_abs();
            text.push(',');
            text.extend(
                [100, 10, 1].into_iter().filter_map(|unit| char::from_digit(milliseconds / unit % 10, 10)),
            );
        }
        text
    }
}

impl Asctime {
    /// Read a time from the front of a line. Return it with what follows it.
    pub fn read<'l>(&self, line: &'l str) -> Option<(Timestamp, &'l str)> {
        let (time, length) = BrokenDownTime::parse_prefix(&self.format, line).ok()?;
        let second = time.to_datetime().ok()?.to_zoned_datetime(TimeZone::system()).ok()?.timestamp();
        let rest = line.get(length..)?;
        if !self.milliseconds {
            return Some((second, rest));
        }
        let (digits, rest) = rest.strip_prefix(',')?.split_at_checked(3)?;
        let milliseconds: i64 = digits.parse().ok()?;
        Some((second.checked_add(SignedDuration::from_millis(milliseconds)).ok()?, rest))
    }
}

impl Default for Asctime {
    fn default() -> Self {
        Self { format: DEFAULT.to_owned(), milliseconds: true, last: Mutex::new((i64::MIN, String::new())) }
    }
}

fn show(format: &str, second: i64) -> Result<String, jiff::Error> {
    let time = Timestamp::from_second(second)?.to_zoned_datetime(TimeZone::system());
    strtime::format(format, &time)
}

/// Replace the directives that depend on the locale with those of the C locale, which Python uses.
fn spell_out(datefmt: &str) -> String {
    let mut out = String::with_capacity(datefmt.len());
    let mut letters = datefmt.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('c') => out.push_str("%a %b %e %H:%M:%S %Y"),
            Some('x') => out.push_str("%m/%d/%y"),
            Some('X') => out.push_str("%H:%M:%S"),
            Some('r') => out.push_str("%I:%M:%S %p"),
            Some('h') => out.push_str("%b"),
            Some(other) => out.extend(['%', other]),
            None => out.push_str("%%"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_a_comma_and_milliseconds() {
        let asctime = Asctime::default();
        let time = Timestamp::from_millisecond(1_589_570_575_069).unwrap();
        let local = time.to_zoned_datetime(TimeZone::system());
        let expected = format!("{},069", strtime::format("%F %T", &local).unwrap());
        assert_eq!(asctime.text(time), expected);
        assert!(asctime.text(time + jiff::Span::new().milliseconds(931)).ends_with(",000"));
    }

    #[test]
    fn an_unknown_directive_is_refused() {
        assert!(Asctime::new("%H:%J").is_err());
        assert!(Asctime::new("100%").is_ok());
    }
}
