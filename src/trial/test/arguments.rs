//! Reads the arguments of the tests' functions, with errors for invalid ones.

use jiff::civil::Time;
use jiff::{Timestamp, ZonedDateTime};

use crate::rules::Argument;
use crate::trial::eval;
use error_text::did_you_mean;
use nowcast_core::Cycle;
use pyyaml::Value;

/// Return the first argument, or an error if it is missing.
pub(super) fn first<'a>(what: &str, given: &'a [Argument]) -> Result<&'a Argument, String> {
    given.first().ok_or_else(|| format!("{what}: something is missing"))
}

/// Return a value, or null if the argument is missing.
pub(super) fn value(what: &str, given: Option<&Argument>) -> Result<Value, String> {
    match given {
        None => Ok(Value::Null),
        Some(Argument::Value(value)) => Ok(value.clone()),
        Some(_) => Err(format!("{what}: a value of YAML was expected")),
    }
}

/// Return a text.
pub(super) fn text(what: &str, given: Option<&Argument>) -> Result<String, String> {
    match given {
        Some(Argument::Value(Value::Str(text))) => Ok(text.to_string()),
        _ => Err(format!("{what}: text was expected")),
    }
}

/// Return the label of a cycle, or `None` if the argument is missing, null or false.
pub(super) fn cycle(what: &str, given: Option<&Argument>) -> Result<Option<Cycle>, String> {
    let label = match given {
        None | Some(Argument::Value(Value::Null | Value::Bool(false))) => return Ok(None),
        Some(Argument::Value(Value::Str(text))) => text.to_string(),
        Some(Argument::Value(Value::Int(number))) => number.to_string(),
        Some(Argument::Value(Value::Date(date))) => date.to_string(),
        Some(_) => return Err(format!("{what}: the cycle must be a label, a whole number or a date")),
    };
    Cycle::parse(&label).map(Some).map_err(|error| format!("{what}: {error}"))
}

/// Return a list of texts, as `lua/test.lua` makes it.
pub(super) fn texts(given: Option<&Argument>) -> Vec<String> {
    match given {
        Some(Argument::Value(Value::List(items))) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Return a time as text.
pub(super) fn text_of_time(given: &Argument) -> Result<String, String> {
    match given {
        Argument::Value(Value::Str(text)) => Ok(text.to_string()),
        Argument::Value(Value::Date(date)) => Ok(date.to_string()),
        Argument::Value(Value::DateTime(time)) => Ok(time.civil.to_string()),
        _ => Err("a time is text as \"2026-03-14 05:15\", or a date".to_owned()),
    }
}

/// Parse a time of day on the day of `now`, or a date with a time.
pub(super) fn moment_of_day(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    if text.len() <= "05:15:00".len()
        && let Ok(time) = text.parse::<Time>()
    {
        let moment = now.date().to_datetime(time).to_zoned_datetime(now.time_zone().clone());
        return moment.map(|moment| moment.timestamp()).map_err(|error| error.to_string());
    }
    eval::moment(text, now.time_zone()).map(|moment| moment.timestamp())
}

/// Check that a table has only these keys.
///
/// # Errors
/// When it has another key.
pub(super) fn only(what: &str, given: &Value, known: &[&str]) -> Result<(), String> {
    let Value::Map(map) = given else { return Ok(()) };
    let known_to = |key: &Value| key.as_str().is_some_and(|key| known.contains(&key));
    let Some(other) = map.keys().find(|key| !known_to(key)) else { return Ok(()) };
    let written = other.as_str().map_or_else(|| format!("{other:?}"), str::to_owned);
    let hint = did_you_mean(&written, known);
    Err(format!("{what}: there is no {written:?} here{hint}; the keys are: {}", known.join(", ")))
}
