//! The order of values in Python.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::FromPrimitive;

use crate::value::{Value, instant};

/// A group of values that Python compares with each other. The groups are in the order of `pprint`, which is that of
/// the names of their types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SortKind {
    Null,
    Bytes,
    Date,
    NaiveDateTime,
    AwareDateTime,
    Number,
    Str,
    Other,
}

fn kind(value: &Value) -> SortKind {
    match value {
        Value::Null => SortKind::Null,
        Value::Bytes(_) => SortKind::Bytes,
        Value::Date(_) => SortKind::Date,
        Value::DateTime(time) if time.offset.is_none() => SortKind::NaiveDateTime,
        Value::DateTime(_) => SortKind::AwareDateTime,
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => SortKind::Number,
        Value::Str(_) => SortKind::Str,
        Value::List(_) | Value::Map(_) | Value::Set(_) => SortKind::Other,
    }
}

/// Return whether Python's `sorted` accepts these keys: all must be comparable with each other.
pub(crate) fn is_sortable<'a>(mut keys: impl Iterator<Item = &'a Value>) -> bool {
    let Some(first) = keys.next() else { return true };
    let mut others = keys.map(kind).peekable();
    // A single key is not compared with anything.
    others.peek().is_none()
        || !matches!(kind(first), SortKind::Null | SortKind::Other)
            && others.all(|other| other == kind(first))
}

/// Compare two keys as Python does if it can, else as `pprint` does. NaN comes last among numbers.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::DateTime(x), Value::DateTime(y)) => match (instant(x), instant(y)) {
            (None, None) => x.civil.cmp(&y.civil),
            (Some(x), Some(y)) => x.cmp(&y),
            _ => kind(a).cmp(&kind(b)),
        },
        _ if kind(a) == SortKind::Number && kind(b) == SortKind::Number => compare_numbers(a, b),
        _ => kind(a).cmp(&kind(b)),
    }
}

fn compare_numbers(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
        (Value::Float(float), other) => compare_float(*float, &integer(other)),
        (other, Value::Float(float)) => compare_float(*float, &integer(other)).reverse(),
        _ => integer(a).cmp(&integer(b)),
    }
}

fn integer(value: &Value) -> BigInt {
    match value {
        Value::Bool(flag) => BigInt::from(i64::from(*flag)),
        Value::Int(number) => BigInt::from(*number),
        Value::BigInt(number) => BigInt::clone(number),
        _ => BigInt::ZERO,
    }
}

fn compare_float(float: f64, integer: &BigInt) -> Ordering {
    match BigInt::from_f64(float) {
        // If the whole parts are equal, the fraction decides.
        Some(whole) => {
            whole.cmp(integer).then_with(|| float.fract().partial_cmp(&0.0).unwrap_or(Ordering::Equal))
        }
        None if float == f64::NEG_INFINITY => Ordering::Less,
        None => Ordering::Greater,
    }
}
