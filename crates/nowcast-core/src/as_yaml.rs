//! YAML values in JSON, as YAML text: JSON has no dates, no sets and only text as keys.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use pyyaml::{Keys, Value};

pub(crate) fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&pyyaml::write(value, Keys::AsGiven))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    pyyaml::read_own(text.as_bytes()).map_err(D::Error::custom)
}
