//! YAML values as JSON, for programs that call rules. Keys keep their order and integers stay integers; a set is
//! `{"__set__": […]}`. This module knows nothing of cases.

use std::fmt;

use num_bigint::BigInt;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use pyyaml::{Map, Set, Value};

/// The only key of a mapping that represents a set.
const SET: &str = "__set__";

/// A value that was read from JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonValue(pub Value);

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(JsonValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or_else(|_| Value::from(BigInt::from(number)), Value::from))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(JsonValue(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, JsonValue(value))) = entries.next_entry::<String, _>()? {
            map.insert(key.into(), value);
        }
        match map.get(&Value::from(SET)) {
            Some(Value::List(members)) if map.len() == 1 => {
                Ok(members.iter().cloned().collect::<Set>().into())
            }
            Some(_) => Err(A::Error::custom(format!("{SET:?} stands alone and holds a list of members"))),
            None => Ok(map.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        serde_json::from_str(text).map(|JsonValue(value)| value).map_err(|error| error.to_string())
    }

    #[test]
    fn order_and_types_are_kept() {
        let value = read(
            r#"{"z": 1, "a": [1.5, true, null, "2026-03-14", 18446744073709551615], "s": {"__set__": ["b", "a"]}}"#,
        );
        let expected =
            pyyaml::read("{z: 1, a: [1.5, true, null, '2026-03-14', 18446744073709551615], s: !!set {b, a}}");
        let value = value.unwrap();
        assert_eq!(value, expected.unwrap());
        let keys: Vec<_> = value.as_map().unwrap().keys().map(|key| key.as_str().unwrap()).collect();
        assert_eq!(keys, ["z", "a", "s"]);
    }

    #[test]
    fn a_malformed_set_is_an_error() {
        assert!(read(r#"{"__set__": 1}"#).unwrap_err().contains("holds a list of members"));
        assert!(read(r#"{"__set__": [], "a": 1}"#).is_err());
    }

    #[test]
    fn depth_has_a_limit() {
        assert!(read(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))).is_err());
    }
}
