//! Lines as JSON, as the formatters of the Python package python-json-logger write them: `pythonjsonlogger.json.JsonFormatter`, formerly
//! `pythonjsonlogger.jsonlogger.JsonFormatter`.

use std::fmt::Write as _;

use indexmap::IndexMap;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pyyaml::{Value, python};
use serde_json::{Map, Value as Json};

use crate::asctime::Asctime;
use crate::attribute::Attribute;
use crate::line_head::LineHead;
use crate::record::LogRecord;
use crate::spec::Field;

/// The options of the formatter.
#[derive(Debug, Default)]
pub(crate) struct JsonOptions {
    /// The attributes that `fmt` names, in its order. The package writes null for one that it does not know.
    pub fields: Vec<String>,
    /// `rename_fields`: other keys for fields.
    pub rename: IndexMap<String, String>,
    /// `defaults`: fields with their values, which the line's own replace.
    pub defaults: IndexMap<String, Value>,
    /// `static_fields`: fields with their values.
    pub fixed: IndexMap<String, Value>,
    /// `timestamp`: the key of the time in UTC.
    pub timestamp: Option<String>,
    /// `prefix`: the text before the JSON.
    pub prefix: String,
    /// `json_ensure_ascii: false`: other letters are written as they are.
    pub keeps_unicode: bool,
}

/// The value of a field.
#[derive(Debug)]
enum FieldSource {
    Attribute(Option<Attribute>),
    Fixed(Value),
    Timestamp,
}

/// A line of JSON.
#[derive(Debug)]
pub(super) struct JsonLine {
    fields: IndexMap<String, FieldSource>,
    prefix: String,
    keeps_unicode: bool,
}

impl JsonLine {
    pub(super) fn new(options: JsonOptions) -> Self {
        let JsonOptions { fields, rename, defaults, fixed, timestamp, prefix, keeps_unicode } = options;
        let attributes = fields.into_iter().map(|name| {
            let attribute = Attribute::from_name(&name);
            (name, FieldSource::Attribute(attribute))
        });
        let constant = |(name, value)| (name, FieldSource::Fixed(value));
        let all = defaults.into_iter().map(constant).chain(attributes).chain(fixed.into_iter().map(constant));
        let all = all.chain(timestamp.map(|name| (name, FieldSource::Timestamp)));
        let named = all.map(|(name, source)| (rename.get(&name).cloned().unwrap_or(name), source));
        Self { fields: named.collect(), prefix, keeps_unicode }
    }

    pub(super) fn render(&self, record: &LogRecord<'_>, asctime: &Asctime, out: &mut String) {
        out.push_str(&self.prefix);
        out.push('{');
        for (index, (name, source)) in self.fields.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { ", " });
            self.text(name, out);
            out.push_str(": ");
            match source {
                FieldSource::Attribute(None) => out.push_str("null"),
                FieldSource::Attribute(Some(attribute)) => match attribute.of(record, asctime) {
                    Field::Text(text) => self.text(&text, out),
                    Field::Int(number) => _ = write!(out, "{number}"),
                    Field::Float(number) => out.push_str(&python::repr_value(&Value::Float(number))),
                },
                FieldSource::Fixed(value) => self.value(value, out),
                FieldSource::Timestamp => self.text(&iso(record.created), out),
            }
        }
        out.push('}');
    }

    /// Read a line back; `None` if it is not an object of this format with a time.
    pub(super) fn head(&self, line: &str, asctime: &Asctime) -> Option<LineHead> {
        let object: Map<String, Json> = serde_json::from_str(line.strip_prefix(&self.prefix)?).ok()?;
        let (mut time, mut head) = (None, (None, None));
        for (key, source) in &self.fields {
            let Some(value) = object.get(key) else { continue };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match source {
                FieldSource::Attribute(Some(Attribute::Asctime)) => {
                    time = time.or_else(|| Some(asctime.read(&text)?.0));
                }
                FieldSource::Attribute(Some(Attribute::Created)) => time = time.or_else(|| created(value)),
                FieldSource::Timestamp => time = text.parse().ok().or(time),
                FieldSource::Attribute(Some(attribute)) => attribute.note(&text, &mut head),
                FieldSource::Attribute(None) | FieldSource::Fixed(_) => {}
            }
        }
        time.map(|time| LineHead { time, level: head.0, name: head.1 })
    }

    fn value(&self, value: &Value, out: &mut String) {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(flag) => _ = write!(out, "{flag}"),
            Value::Int(_) | Value::Float(_) => out.push_str(&python::repr_value(value)),
            Value::Str(text) => self.text(text, out),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    self.value(item, out);
                }
                out.push(']');
            }
            Value::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    self.value(key, out);
                    out.push_str(": ");
                    self.value(value, out);
                }
                out.push('}');
            }
            // Dates and others that JSON lacks.
            other => self.text(&python::repr_value(other), out),
        }
    }

    /// Write a string as Python's `json.dumps` does.
    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for letter in text.chars() {
            match letter {
                '"' | '\\' => out.extend(['\\', letter]),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                ' '..='\u{7f}' => out.push(letter),
                _ if letter >= ' ' && self.keeps_unicode => out.push(letter),
                _ => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }
        }
        out.push('"');
    }
}

/// Read the attribute `created`: seconds since 1970, with fractions.
fn created(value: &Json) -> Option<Timestamp> {
    let since_1970 = SignedDuration::try_from_secs_f64(value.as_f64()?).ok()?;
    Timestamp::from_duration(since_1970).ok()
}

/// Return a time in UTC as Python's `isoformat` writes it.
fn iso(time: Timestamp) -> String {
    let utc = time.to_zoned_datetime(TimeZone::UTC);
    let micro = time.subsec_nanosecond() / 1_000;
    let fraction = if micro == 0 { String::new() } else { format!(".{micro:06}") };
    format!("{}{fraction}+00:00", utc.strftime("%Y-%m-%dT%H:%M:%S"))
}
