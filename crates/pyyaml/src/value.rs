//! [`Value`]: the content of a YAML document, with `PyYAML`'s types, in the order of the text.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use num_bigint::BigInt;

pub use jiff::civil::Date;

/// A mapping in insertion order; any value can be a key.
pub type Map = IndexMap<Value, Value>;

/// A set in insertion order.
pub type Set = IndexSet<Value>;

/// A date with a time of day: `PyYAML`'s `datetime.datetime`, to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateTime {
    /// The date and the time of day as they were written.
    pub civil: jiff::civil::DateTime,
    /// Seconds east of UTC; `None` if no time zone was written.
    pub offset: Option<i32>,
}

/// Formats like Python's `str` of a `datetime`: `2026-03-14 05:15:00+00:00`.
impl fmt::Display for DateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&date_time_text(self, ' '))
    }
}

/// Format a time like Python's `datetime.isoformat(separator)`.
pub(crate) fn date_time_text(time: &DateTime, separator: char) -> String {
    let clock = time.civil.time();
    let mut text = format!(
        "{}{separator}{:02}:{:02}:{:02}",
        time.civil.date(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    let microsecond = clock.subsec_nanosecond() / 1000;
    if microsecond != 0 {
        let _ = write!(text, ".{microsecond:06}");
    }
    if let Some(offset) = time.offset {
        let sign = if offset < 0 { '-' } else { '+' };
        let seconds = offset.unsigned_abs();
        let _ = write!(text, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
        if seconds % 60 != 0 {
            let _ = write!(text, ":{:02}", seconds % 60);
        }
    }
    text
}

/// Return the microseconds since 1970 in UTC; `None` for a time without an offset. They fit 64 bits, because Python's
/// calendar ends with the year 9999.
pub(crate) fn instant(time: &DateTime) -> Option<i64> {
    let offset = i64::from(time.offset?);
    let days = i64::from(time.civil.date().since(jiff::civil::date(1970, 1, 1)).ok()?.get_days());
    let clock = time.civil.time();
    let seconds = i64::from(clock.hour()) * 3600 + i64::from(clock.minute()) * 60 + i64::from(clock.second());
    Some((days * 86_400 + seconds - offset) * 1_000_000 + i64::from(clock.subsec_nanosecond()) / 1000)
}

/// Any YAML value. Strings, bytes, large integers and collections are shared, so a clone only counts a reference.
///
/// Equality is strict about types (`1` is not `1.0`), unlike Python's; two NaNs are equal.
///
/// ```
/// use pyyaml::Value;
///
/// assert_ne!(Value::from(1), Value::Float(1.0));
/// assert_eq!(Value::Float(f64::NAN), Value::Float(f64::NAN));
/// ```
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// `null`, Python's `None`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// An integer that does not fit 64 bits.
    BigInt(Arc<BigInt>),
    /// A floating point number.
    Float(f64),
    /// A string.
    Str(Arc<str>),
    /// A date without a time of day.
    Date(Date),
    /// A date with a time of day.
    DateTime(DateTime),
    /// `!!binary`, Python's `bytes`.
    Bytes(Arc<[u8]>),
    /// A sequence.
    List(Arc<Vec<Value>>),
    /// A mapping.
    Map(Arc<Map>),
    /// `!!set`, Python's `set`.
    Set(Arc<Set>),
}

impl Value {
    /// Return the value under a string key of a mapping; `None` for any other value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(&Value::from(key))
    }

    /// Return the text of a string; `None` for any other value.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Return the number of an integer that fits 64 bits; `None` for any other value.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Return the entries of a mapping; `None` for any other value.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Return the items of a list; `None` for any other value.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Return whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Return the depth of nested collections, including those in keys; 0 for a scalar.
    #[must_use]
    pub fn depth(&self) -> usize {
        let deepest = match self {
            Value::List(items) => items.iter().map(Value::depth).max(),
            Value::Set(members) => members.iter().map(Value::depth).max(),
            Value::Map(entries) => entries.iter().map(|(key, value)| key.depth().max(value.depth())).max(),
            _ => return 0,
        };
        1 + deepest.unwrap_or_default()
    }

    /// Return how many bytes of memory the value takes, approximately: a small text or collection takes many times the bytes of
    /// its YAML. Parts that values share count for each of them.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        /// Bytes of an allocation beside its content: the counters of an `Arc`, and what the allocator adds.
        const ALLOCATION: usize = 32;
        /// Bytes of an entry of a map or set beside its key and value: the hash, and its place in the index.
        const ENTRY: usize = 24;
        let content = match self {
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Date(_)
            | Value::DateTime(_) => 0,
            Value::BigInt(number) => {
                ALLOCATION + usize::try_from(number.bits() / 8).unwrap_or(usize::MAX).saturating_add(8)
            }
            Value::Str(text) => ALLOCATION + text.len(),
            Value::Bytes(bytes) => ALLOCATION + bytes.len(),
            Value::List(items) => 2 * ALLOCATION + items.iter().map(Value::memory_size).sum::<usize>(),
            Value::Set(members) => {
                4 * ALLOCATION + members.iter().map(|member| ENTRY + member.memory_size()).sum::<usize>()
            }
            Value::Map(entries) => {
                let entry = |(key, value): (&Value, &Value)| ENTRY + key.memory_size() + value.memory_size();
                4 * ALLOCATION + entries.iter().map(entry).sum::<usize>()
            }
        };
        size_of::<Self>() + content
    }

    /// Return the kind of this value for error messages: "a list", "text".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::BigInt(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Str(_) => "text",
            Value::Date(_) => "a date",
            Value::DateTime(_) => "a date with a time",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Set(_) => "a set",
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::BigInt(a), Value::BigInt(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => same_float(*a, *b),
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Date(a), Value::Date(b)) => a == b,
            (Value::DateTime(a), Value::DateTime(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Set(a), Value::Set(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// Return whether two floats are written the same: `0.0` and `-0.0` are not; every NaN is.
fn same_float(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Bool(flag) => flag.hash(state),
            Value::Int(number) => number.hash(state),
            Value::BigInt(number) => number.hash(state),
            Value::Float(number) if number.is_nan() => {}
            Value::Float(number) => number.to_bits().hash(state),
            Value::Str(text) => text.hash(state),
            Value::Date(date) => date.hash(state),
            Value::DateTime(time) => time.hash(state),
            Value::Bytes(bytes) => bytes.hash(state),
            Value::List(items) => items.hash(state),
            // Maps and sets are equal in any order, so their hash must not depend on it.
            Value::Map(map) => map.len().hash(state),
            Value::Set(set) => set.len().hash(state),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Str(text.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<BigInt> for Value {
    fn from(number: BigInt) -> Self {
        match i64::try_from(&number) {
            Ok(small) => Value::Int(small),
            Err(_) => Value::BigInt(Arc::new(number)),
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float(number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::List(Arc::new(items))
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(Arc::new(map))
    }
}

impl From<Set> for Value {
    fn from(set: Set) -> Self {
        Value::Set(Arc::new(set))
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let map: Map = entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        map.into()
    }
}
