//! Dates in arguments and payloads: found, blanked, and moved by days.
//!
//! In text three forms count, if no digit stands on either side: `2026-11-24`, also with a time behind it; `20261124`; and `24nov26` with
//! an English month, whose letters keep their case. In values also YAML's dates and dates with a time, and integers that read
//! as `20261124`: a count of that size is rarely a date by chance, and to a rule it hardly matters then.
//!
//! Dates from 1990 to 2100 count, with a year of two digits those until 2068. A date that would leave these years stays as it is: `9999-12-31`
//! means *never*. So moving by days and back gives the same value unless one of its dates stayed. If two keys of
//! a mapping, or two members of a set, would become equal by that, all of its keys stay as they are: nothing is lost.

use std::borrow::Cow;
use std::ops::Range;

use jiff::civil::Date;

use nowcast_core::Cycle;
use pyyaml::{DateTime, Map, Set, Value};

/// The years in which a date counts as one.
const YEARS: Range<i16> = 1990..2101;

/// The first year that two digits cannot express: as in POSIX, 69 is 1969.
const END_OF_TWO_DIGITS: i16 = 2069;

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// How a date is written in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// `2026-11-24`
    Iso,
    /// `20261124`
    Basic,
    /// `24nov26`
    DayMonthYear,
}

impl DateForm {
    /// All, in the order in which they are tried.
    const ALL: [Self; 3] = [Self::Iso, Self::Basic, Self::DayMonthYear];

    /// Return what replaces a date where dates are blanked.
    fn blank(self) -> &'static str {
        match self {
            Self::Iso => "<YYYY-MM-DD>",
            Self::Basic => "<YYYYMMDD>",
            Self::DayMonthYear => "<ddmmmyy>",
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Iso => 10,
            Self::Basic => 8,
            Self::DayMonthYear => 7,
        }
    }

    /// Read a date that text begins with.
    fn read(self, text: &[u8]) -> Option<Date> {
        let text = text.get(..self.len())?;
        let (year, month, day) = match self {
            Self::Iso if text[4] == b'-' && text[7] == b'-' => {
                (number(&text[..4])?, number(&text[5..7])?, number(&text[8..])?)
            }
            Self::Iso => return None,
            Self::Basic => (number(&text[..4])?, number(&text[4..6])?, number(&text[6..])?),
            Self::DayMonthYear => {
                let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(&text[2..5]))?;
                let year = number(&text[5..])?;
                let century = if year < END_OF_TWO_DIGITS - 2000 { 2000 } else { 1900 };
                (century + year, i16::try_from(month + 1).ok()?, number(&text[..2])?)
            }
        };
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        YEARS.contains(&date.year()).then_some(date)
    }

    /// Write a date in place of another of this form.
    fn write(self, date: Date, previous: &str) -> String {
        let (year, month, day) = (date.year(), date.month(), date.day());
        match self {
            Self::Iso => format!("{year:04}-{month:02}-{day:02}"),
            Self::Basic => format!("{year:04}{month:02}{day:02}"),
            Self::DayMonthYear => {
                // A month is one of twelve.
                let name = MONTHS[usize::from(month.unsigned_abs()) - 1];
                let cased = name.iter().zip(previous[2..5].bytes()).map(|(letter, previous)| {
                    char::from(if previous.is_ascii_uppercase() {
                        letter.to_ascii_uppercase()
                    } else {
                        *letter
                    })
                });
                format!("{day:02}{}{:02}", cased.collect::<String>(), year % 100)
            }
        }
    }

    /// Return a date some days later, if it is one of this form, too.
    fn later(self, date: Date, days: i32) -> Option<Date> {
        let moved = later(date, days)?;
        (self != Self::DayMonthYear || moved.year() < END_OF_TWO_DIGITS).then_some(moved)
    }
}

/// The number that digits express; `None` for other characters.
fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))
}

/// Return a date some days later; `None` if one of both does not count as a date.
fn later(date: Date, days: i32) -> Option<Date> {
    let moved = date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    (YEARS.contains(&date.year()) && YEARS.contains(&moved.year())).then_some(moved)
}

/// A date in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDate {
    /// The bytes that it takes.
    pub range: Range<usize>,
    /// The date.
    pub date: Date,
    /// How it is written.
    pub form: DateForm,
}

/// Return the dates in text, from left to right.
pub fn in_text(text: &str) -> impl Iterator<Item = FoundDate> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        // `at` is never inside of a number.
        while let Some(others) = bytes[at..].iter().position(u8::is_ascii_digit) {
            let begin = at + others;
            let found = DateForm::ALL.into_iter().find_map(|form| {
                let date = form.read(&bytes[begin..])?;
                let end = begin + form.len();
                let is_whole = !bytes.get(end).is_some_and(u8::is_ascii_digit);
                is_whole.then_some(FoundDate { range: begin..end, date, form })
            });
            if let Some(found) = found {
                at = found.range.end;
                return Some(found);
            }
            at = begin + bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        }
        None
    })
}

/// Return the first date in arguments.
#[must_use]
pub fn first(args: &[String]) -> Option<Date> {
    args.iter().find_map(|arg| in_text(arg).next()).map(|found| found.date)
}

/// Return the date in the label of a cycle.
#[must_use]
pub fn of_cycle(cycle: &Cycle) -> Option<Date> {
    in_text(cycle.as_str()).next().map(|found| found.date)
}

/// Return text with each date replaced by its form.
#[must_use]
pub fn blanked(text: &str) -> Cow<'_, str> {
    blanked_with_first(text).0
}

/// Return text with each date replaced by its form, and the first of them.
pub(super) fn blanked_with_first(text: &str) -> (Cow<'_, str>, Option<Date>) {
    let mut first = None;
    let blanked = replaced(text, |found| {
        first.get_or_insert(found.date);
        Some(found.form.blank().into())
    });
    (blanked, first)
}

/// Return text with its dates moved by days.
#[must_use]
pub fn moved_text(text: &str, days: i32) -> Cow<'_, str> {
    replaced(text, |found| {
        let moved = found.form.later(found.date, days)?;
        Some(found.form.write(moved, &text[found.range.clone()]).into())
    })
}

/// Return text with its dates replaced; those without a replacement stay.
fn replaced(
    text: &str,
    mut replacement: impl FnMut(&FoundDate) -> Option<Cow<'static, str>>,
) -> Cow<'_, str> {
    let mut whole = String::new();
    let mut copied = 0;
    for found in in_text(text) {
        if let Some(replacement) = replacement(&found) {
            whole.reserve(text.len() - copied + replacement.len());
            whole.push_str(&text[copied..found.range.start]);
            whole.push_str(&replacement);
            copied = found.range.end;
        }
    }
    if copied == 0 {
        return text.into();
    }
    whole.push_str(&text[copied..]);
    whole.into()
}

/// Return a value with its dates moved by days: those in texts, keys of mappings and members of sets, too. Parts without dates are
/// shared with the value.
#[must_use]
pub fn moved(value: &Value, days: i32) -> Value {
    if days == 0 { value.clone() } else { changed(value, days).unwrap_or_else(|| value.clone()) }
}

/// A value with its dates moved; `None` if it stays as it is.
fn changed(value: &Value, days: i32) -> Option<Value> {
    match value {
        Value::Str(text) => match moved_text(text, days) {
            Cow::Borrowed(_) => None,
            Cow::Owned(moved) => Some(moved.into()),
        },
        Value::Int(number) => {
            let text = number.to_string();
            let is_date = text.len() == DateForm::Basic.len();
            is_date.then(|| moved_text(&text, days).parse().ok()).flatten().map(Value::Int)
        }
        Value::Date(date) => later(*date, days).map(Value::Date),
        Value::DateTime(time) => {
            let civil = later(time.civil.date(), days)?.to_datetime(time.civil.time());
            Some(Value::DateTime(DateTime { civil, ..*time }))
        }
        Value::List(items) => {
            let changes: Vec<_> = items.iter().map(|item| changed(item, days)).collect();
            let is_changed = changes.iter().any(Option::is_some);
            let item = |(item, change): (&Value, Option<Value>)| change.unwrap_or_else(|| item.clone());
            is_changed.then(|| items.iter().zip(changes).map(item).collect::<Vec<_>>().into())
        }
        Value::Map(entries) => changed_map(entries, days).map(Value::from),
        Value::Set(members) => {
            changed_keys(members.iter(), days).map(|keys| Value::from(keys.into_iter().collect::<Set>()))
        }
        Value::Null | Value::Bool(_) | Value::BigInt(_) | Value::Float(_) | Value::Bytes(_) => None,
    }
}

fn changed_map(entries: &Map, days: i32) -> Option<Map> {
    let keys = changed_keys(entries.keys(), days);
    let values: Vec<_> = entries.values().map(|value| changed(value, days)).collect();
    if keys.is_none() && values.iter().all(Option::is_none) {
        return None;
    }
    let keys = keys.unwrap_or_else(|| entries.keys().cloned().collect());
    let values = entries.values().zip(values).map(|(value, change)| change.unwrap_or_else(|| value.clone()));
    Some(keys.into_iter().zip(values).collect())
}

/// Keys with their dates moved; `None` if all stay as they are, also because two would become equal.
fn changed_keys<'a>(keys: impl ExactSizeIterator<Item = &'a Value>, days: i32) -> Option<Vec<Value>> {
    let mut is_changed = false;
    let moved: Vec<Value> = keys
        .map(|key| {
            let change = changed(key, days);
            is_changed |= change.is_some();
            change.unwrap_or_else(|| key.clone())
        })
        .collect();
    let is_lossless = || moved.iter().collect::<std::collections::HashSet<_>>().len() == moved.len();
    (is_changed && is_lossless()).then_some(moved)
}

/// The dates of a run by which the dates in its messages are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunDates {
    /// The first date in its arguments.
    pub args: Option<Date>,
    /// The date in the label of its cycle.
    pub cycle: Option<Date>,
    /// The day of a run without a cycle, else the local day of its launch.
    pub day: Date,
}

impl RunDates {
    /// Return how many days later another run's dates are: by the dates in the arguments if both have one, else by those of the cycles,
    /// else by the days.
    #[must_use]
    pub fn days_until(&self, other: &Self) -> i32 {
        let by_args = self.args.zip(other.args);
        let (from, to) = by_args.or_else(|| self.cycle.zip(other.cycle)).unwrap_or((self.day, other.day));
        // The calendar has fewer days than an i32.
        from.until(to).map_or(0, |span| span.get_days())
    }
}
