//! The bridge to serde, for the configuration sections that are ours.

use super::value::Value;
use super::write::date_time_text;

/// The same value for `serde_yaml::from_value`. Dates become their text, sets and bytes become lists, and an
/// integer past 64 bits the text of its digits.
#[must_use]
pub fn to_serde(value: &Value) -> serde_yaml::Value {
    match value {
        Value::Null => serde_yaml::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::BigInt(number) => match u64::try_from(&**number) {
            Ok(number) => number.into(),
            Err(_) => number.to_string().into(),
        },
        Value::Float(number) => (*number).into(),
        Value::Str(text) => text.as_ref().into(),
        Value::Date(date) => date.to_string().into(),
        Value::DateTime(time) => date_time_text(time, ' ').into(),
        Value::Bytes(bytes) => serde_yaml::Value::Sequence(bytes.iter().map(|&byte| byte.into()).collect()),
        Value::List(items) => serde_yaml::Value::Sequence(items.iter().map(to_serde).collect()),
        Value::Set(set) => serde_yaml::Value::Sequence(set.iter().map(to_serde).collect()),
        Value::Map(map) => serde_yaml::Value::Mapping(
            map.iter().map(|(key, value)| (to_serde(key), to_serde(value))).collect(),
        ),
    }
}
