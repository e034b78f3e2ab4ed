//! The conversion of values for serde, for our own configuration sections.

use pyyaml::Value;

/// Convert a value for `serde_yaml::from_value`. Dates become their text, sets and bytes become lists, and an integer
/// of more than 64 bits becomes the text of its digits.
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
        Value::DateTime(time) => time.to_string().into(),
        Value::Bytes(bytes) => serde_yaml::Value::Sequence(bytes.iter().map(|&byte| byte.into()).collect()),
        Value::List(items) => serde_yaml::Value::Sequence(items.iter().map(to_serde).collect()),
        Value::Set(set) => serde_yaml::Value::Sequence(set.iter().map(to_serde).collect()),
        Value::Map(map) => serde_yaml::Value::Mapping(
            map.iter().map(|(key, value)| (to_serde(key), to_serde(value))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use pyyaml::limits::MAX_DEPTH;

    use super::*;

    #[test]
    fn sections_become_types() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Example {
            command: Vec<String>,
            since: String,
            limit: Option<u32>,
        }
        let value = pyyaml::read("command: [run, it]\nsince: 2026-03-14\nlimit: 3\n").expect("good YAML");
        let section: Example = serde_yaml::from_value(to_serde(&value)).expect("the section fits its type");
        assert_eq!(section.since, "2026-03-14");
        assert_eq!((section.command.len(), section.limit), (2, Some(3)));
    }

    #[test]
    fn the_deepest_value_fits_the_stack() {
        let text = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let value = pyyaml::read(&text).expect("this is just not too deep");
        assert!(to_serde(&value).is_sequence());
    }
}
