//! [`MappingKeys`]: a mapping under construction, whose keys are equal if Python says so.

use std::collections::HashMap;

use num_bigint::BigInt;
use num_traits::FromPrimitive;

use crate::value::{Map, Value, instant};

/// A mapping under construction. As in a Python `dict`, the last value of a key wins, but its first place and first
/// spelling stay: `{1: a, 1.0: b}` is `{1: b}`.
pub(super) struct MappingKeys {
    map: Map,
    /// The keys that could equal one of another spelling, as they are in the map.
    stored: HashMap<Canonical, Value>,
}

/// The value that Python compares for a key that has several spellings.
#[derive(PartialEq, Eq, Hash)]
enum Canonical {
    Integer(BigInt),
    /// The bits of a number that is not an integer.
    Fraction(u64),
    /// Microseconds since 1970 in UTC.
    Instant(i64),
}

impl MappingKeys {
    pub fn with_capacity(length: usize) -> Self {
        Self { map: Map::with_capacity(length), stored: HashMap::new() }
    }

    pub fn insert(&mut self, key: Value, value: Value) {
        let key = match canonical(&key) {
            None => key,
            Some(canonical) => self.stored.entry(canonical).or_insert(key).clone(),
        };
        self.map.insert(key, value);
    }

    pub fn into_map(self) -> Map {
        self.map
    }
}

fn canonical(key: &Value) -> Option<Canonical> {
    Some(match key {
        Value::Bool(flag) => Canonical::Integer(BigInt::from(i64::from(*flag))),
        Value::Int(number) => Canonical::Integer(BigInt::from(*number)),
        Value::BigInt(number) => Canonical::Integer(BigInt::clone(number)),
        Value::Float(number) if number.fract() == 0.0 => Canonical::Integer(BigInt::from_f64(*number)?),
        Value::Float(number) => Canonical::Fraction(number.to_bits()),
        Value::DateTime(time) => Canonical::Instant(instant(time)?),
        _ => return None,
    })
}
