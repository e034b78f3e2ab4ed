//! Python's `repr`.

use std::fmt::Write as _;
use std::sync::OnceLock;

use regex::Regex;

use super::sorted::{sorted_members, sorted_pairs};
use crate::value::{DateTime, Value};
use crate::write::float_digits;

/// Format a string like Python's `repr`: `'it'`, `"it's"`.
///
/// Which characters are printable follows the Unicode tables of the `regex` crate, which are newer than those of most
/// Pythons: a character that was added to Unicode since is shown, not escaped.
#[must_use]
pub fn repr(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_str(&mut out, text);
    out
}

/// Format a list of strings like Python's `repr`.
#[must_use]
pub fn repr_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| repr(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// Format a value like Python's `repr`, on one line. Mappings and sets are sorted, as in `pprint`.
#[must_use]
pub fn repr_value(value: &Value) -> String {
    repr_within(value, usize::MAX).unwrap_or_default()
}

/// Format a value like [`repr_value`]; `None` if that takes more than `characters` characters.
#[must_use]
pub fn repr_up_to(value: &Value, characters: usize) -> Option<String> {
    repr_within(value, characters)
}

/// Format a value on one line; `None` as soon as it takes more than `width` characters.
pub(super) fn repr_within(value: &Value, width: usize) -> Option<String> {
    let mut out = Line { text: String::new(), width };
    out.value(value)?;
    Some(out.text)
}

struct Line {
    text: String,
    width: usize,
}

impl Line {
    fn push(&mut self, text: &str) -> Option<()> {
        self.text.push_str(text);
        self.check()
    }

    /// Return `None` if the line is too long. Characters are counted only if the bytes, of which there are at least as
    /// many, are too many.
    fn check(&self) -> Option<()> {
        (self.text.len() <= self.width || self.text.chars().count() <= self.width).then_some(())
    }

    fn value(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::List(items) => self.row("[", items.iter(), "]"),
            Value::Set(set) if set.is_empty() => self.push("set()"),
            // A collection that cannot fit is not sorted: a member takes at least two characters, a pair at least four.
            Value::Set(set) if set.len() > self.width / 2 => None,
            Value::Map(map) if map.len() > self.width / 4 => None,
            Value::Set(set) => self.row("{", sorted_members(set).into_iter(), "}"),
            Value::Map(map) => {
                self.push("{")?;
                for (place, (key, value)) in sorted_pairs(map).into_iter().enumerate() {
                    self.push(if place == 0 { "" } else { ", " })?;
                    self.value(key)?;
                    self.push(": ")?;
                    self.value(value)?;
                }
                self.push("}")
            }
            // A text has at least a character for each four bytes, and each takes at least one on the line.
            Value::Str(text) if text.len() / 4 > self.width => None,
            Value::Str(text) => {
                write_str(&mut self.text, text);
                self.check()
            }
            Value::Bytes(bytes) if bytes.len() > self.width => None,
            Value::Bytes(bytes) => self.push(&repr_bytes(bytes)),
            _ => self.push(&repr_scalar(value)),
        }
    }

    fn row<'v>(&mut self, open: &str, items: impl Iterator<Item = &'v Value>, close: &str) -> Option<()> {
        self.push(open)?;
        for (place, item) in items.enumerate() {
            self.push(if place == 0 { "" } else { ", " })?;
            self.value(item)?;
        }
        self.push(close)
    }
}

fn repr_scalar(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "nan".to_owned(),
        Value::Float(number) if number.is_infinite() => if *number > 0.0 { "inf" } else { "-inf" }.to_owned(),
        Value::Float(number) => float_digits(*number),
        Value::Date(date) => format!("datetime.date({}, {}, {})", date.year(), date.month(), date.day()),
        Value::DateTime(time) => repr_date_time(time),
        _ => "None".to_owned(),
    }
}

fn repr_date_time(time: &DateTime) -> String {
    let (date, clock) = (time.civil.date(), time.civil.time());
    let mut text = format!(
        "datetime.datetime({}, {}, {}, {}, {}",
        date.year(),
        date.month(),
        date.day(),
        clock.hour(),
        clock.minute()
    );
    let microsecond = clock.subsec_nanosecond() / 1000;
    // Writing to a String cannot fail.
    if clock.second() != 0 || microsecond != 0 {
        let _ = write!(text, ", {}", clock.second());
    }
    if microsecond != 0 {
        let _ = write!(text, ", {microsecond}");
    }
    if let Some(offset) = time.offset {
        let _ = write!(text, ", tzinfo={}", repr_offset(offset));
    }
    text.push(')');
    text
}

fn repr_offset(offset: i32) -> String {
    if offset == 0 {
        return "datetime.timezone.utc".to_owned();
    }
    // Python keeps the days of a `timedelta` apart, and its seconds positive.
    let days = if offset < 0 { "days=-1, " } else { "" };
    format!("datetime.timezone(datetime.timedelta({days}seconds={}))", offset.rem_euclid(86_400))
}

/// Return the quote that Python uses: a double one only if that avoids escapes.
fn quote(has_single: bool, has_double: bool) -> char {
    if has_single && !has_double { '"' } else { '\'' }
}

/// Return the pattern of the characters beyond ASCII that Python escapes: those of the categories C and Z, for which
/// `str.isprintable` is false.
fn unprintable() -> Option<&'static Regex> {
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    PATTERN.get_or_init(|| Regex::new(r"[\p{Other}\p{Separator}]").ok()).as_ref()
}

fn write_str(out: &mut String, text: &str) {
    let quote = quote(text.contains('\''), text.contains('"'));
    let mut buffer = [0; 4];
    out.push(quote);
    for character in text.chars() {
        // Writing to a String cannot fail.
        let _ = match (character, u32::from(character)) {
            ('\n', _) => write!(out, "\\n"),
            ('\r', _) => write!(out, "\\r"),
            ('\t', _) => write!(out, "\\t"),
            ('\\', _) => write!(out, "\\\\"),
            _ if character == quote => write!(out, "\\{quote}"),
            (' '..='~', _) => {
                out.push(character);
                Ok(())
            }
            (_, code @ 0..=0xA0) => write!(out, "\\x{code:02x}"),
            (_, code) => {
                let is_printable =
                    unprintable().is_none_or(|class| !class.is_match(character.encode_utf8(&mut buffer)));
                match code {
                    _ if is_printable => write!(out, "{character}"),
                    0..=0xFF => write!(out, "\\x{code:02x}"),
                    0x100..=0xFFFF => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                }
            }
        };
    }
    out.push(quote);
}

/// Format bytes like Python's `repr`: `b'it'`.
pub(super) fn repr_bytes(bytes: &[u8]) -> String {
    let quote = quote(bytes.contains(&b'\''), bytes.contains(&b'"'));
    let mut out = format!("b{quote}");
    for &byte in bytes {
        // Writing to a String cannot fail.
        let _ = match byte {
            b'\n' => write!(out, "\\n"),
            b'\r' => write!(out, "\\r"),
            b'\t' => write!(out, "\\t"),
            b'\\' => write!(out, "\\\\"),
            _ if char::from(byte) == quote => write!(out, "\\{quote}"),
            b' '..=b'~' => write!(out, "{}", char::from(byte)),
            _ => write!(out, "\\x{byte:02x}"),
        };
    }
    out.push(quote);
    out
}
