//! Dates and times: `2026-03-14`, `2026-3-14T5:15:00.5 +1:30`.

use jiff::civil;

use crate::value::{Date, DateTime};

/// The parts of a timestamp as they were written, which need not be a valid date.
pub(crate) struct Parts {
    year: i16,
    month: i8,
    day: i8,
    /// The time of day; `None` if only a date was written.
    pub time: Option<TimeParts>,
}

/// The time of day of a timestamp.
pub(crate) struct TimeParts {
    hour: i8,
    minute: i8,
    second: i8,
    microsecond: i32,
    /// Seconds east of UTC.
    offset: Option<i32>,
}

/// Take at least `least` and at most `most` digits from the front of a text.
fn digits(text: &mut &str, least: usize, most: usize) -> Option<i32> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    let (number, rest) = text.split_at(length);
    *text = rest;
    number.parse().ok()
}

fn small(text: &mut &str, least: usize) -> Option<i8> {
    digits(text, least, 2).and_then(|number| i8::try_from(number).ok())
}

fn expect(text: &mut &str, prefix: char) -> Option<()> {
    *text = text.strip_prefix(prefix)?;
    Some(())
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

impl Parts {
    /// Split a timestamp into its parts; `None` if it is not one.
    pub fn parse(mut text: &str) -> Option<Self> {
        let text = &mut text;
        let year = digits(text, 4, 4).and_then(|year| i16::try_from(year).ok())?;
        expect(text, '-')?;
        let month = small(text, 1)?;
        expect(text, '-')?;
        let day = small(text, 1)?;
        let time = if text.is_empty() { None } else { Some(TimeParts::parse(text)?) };
        Some(Self { year, month, day, time })
    }

    /// Return the date; `None` if there is no such day. Python's calendar begins with the year 1.
    pub fn date(&self) -> Option<Date> {
        if self.year < 1 {
            return None;
        }
        Date::new(self.year, self.month, self.day).ok()
    }

    /// Return the date with the time of day; `None` if there is no such moment.
    pub fn date_time(&self, time: &TimeParts) -> Option<DateTime> {
        let clock = civil::Time::new(time.hour, time.minute, time.second, time.microsecond * 1000).ok()?;
        let is_possible = time.offset.is_none_or(|offset| offset.abs() < 24 * 3600);
        is_possible.then_some(DateTime { civil: self.date()?.to_datetime(clock), offset: time.offset })
    }
}

impl TimeParts {
    fn parse(text: &mut &str) -> Option<Self> {
        *text = match text.strip_prefix(['T', 't']) {
            Some(rest) => rest,
            None if text.starts_with([' ', '\t']) => skip_blanks(text),
            None => return None,
        };
        let hour = small(text, 1)?;
        expect(text, ':')?;
        let minute = small(text, 2)?;
        expect(text, ':')?;
        let second = small(text, 2)?;
        let microsecond = fraction(text);
        if text.is_empty() {
            return Some(Self { hour, minute, second, microsecond, offset: None });
        }
        *text = skip_blanks(text);
        let offset = offset(text)?;
        text.is_empty().then_some(Self { hour, minute, second, microsecond, offset: Some(offset) })
    }
}

/// Take a fraction of a second from the front of a text, in microseconds; further digits are ignored.
fn fraction(text: &mut &str) -> i32 {
    let Some(rest) = text.strip_prefix('.') else { return 0 };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(length);
    *text = rest;
    digits
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(6)
        .fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'))
}

fn offset(text: &mut &str) -> Option<i32> {
    if expect(text, 'Z').is_some() {
        return Some(0);
    }
    let sign = if expect(text, '-').is_some() {
        -1
    } else {
        expect(text, '+')?;
        1
    };
    let hours = digits(text, 1, 2)?;
    let minutes = if expect(text, ':').is_some() { digits(text, 2, 2)? } else { 0 };
    Some(sign * (hours * 3600 + minutes * 60))
}
