//! The checklist: the state of the user's system, one entry for each checklist key.

use std::sync::Arc;

use crate::yaml::{Map, Value};

/// The checklist. A snapshot of it is free, since its values are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checklist {
    entries: Arc<Map>,
}

/// What [`Checklist::update`] did with the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// It was put in place or merged.
    Done,
    /// A mapping was replaced by something that is none; the peer's manager would have ended.
    ReplacedMapping,
}

impl Checklist {
    /// A checklist with these entries.
    #[must_use]
    pub fn new(entries: Map) -> Self {
        Self { entries: Arc::new(entries) }
    }

    /// Everything in it, as one value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Map(Arc::clone(&self.entries))
    }

    /// The entry under a key.
    #[must_use]
    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.entries.get(key)
    }

    /// The keys in insertion order.
    pub fn keys(&self) -> impl Iterator<Item = &Value> {
        self.entries.keys()
    }

    /// Whether it has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes every entry.
    pub fn clear(&mut self) {
        self.entries = Arc::default();
    }

    /// Puts a payload under a key as the peer does: a mapping is merged into a mapping, one level
    /// deep, and a set into a set; everything else replaces what was there.
    pub fn update(&mut self, key: &Value, payload: Value) -> Update {
        let entries = Arc::make_mut(&mut self.entries);
        let Some(entry) = entries.get_mut(key) else {
            entries.insert(key.clone(), payload);
            return Update::Done;
        };
        match (entry, payload) {
            (Value::Map(entry), Value::Map(payload)) => {
                let entry = Arc::make_mut(entry);
                for (key, value) in payload.iter() {
                    entry.insert(key.clone(), value.clone());
                }
            }
            (Value::Set(entry), Value::Set(payload)) => {
                Arc::make_mut(entry).extend(payload.iter().cloned());
            }
            (entry @ Value::Map(_), payload) => {
                *entry = payload;
                return Update::ReplacedMapping;
            }
            (entry, payload) => *entry = payload,
        }
        Update::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, i64)]) -> Value {
        entries.iter().map(|(key, value)| (*key, *value)).collect()
    }

    #[test]
    fn a_mapping_is_merged_one_level_deep_and_keeps_its_order() {
        let mut checklist = Checklist::default();
        let key = Value::from("weather");
        checklist.update(&key, map(&[("00", 1), ("06", 2)]));
        assert_eq!(checklist.update(&key, map(&[("12", 3), ("00", 4)])), Update::Done);
        let keys: Vec<_> = checklist.get(&key).and_then(Value::as_map).into_iter().flatten().collect();
        let expected = map(&[("00", 4), ("06", 2), ("12", 3)]);
        assert_eq!(keys, expected.as_map().into_iter().flatten().collect::<Vec<_>>());
    }

    #[test]
    fn anything_else_replaces() {
        let mut checklist = Checklist::default();
        let key = Value::from("weather");
        checklist.update(&key, "text".into());
        assert_eq!(checklist.update(&key, map(&[("00", 1)])), Update::Done);
        assert_eq!(checklist.update(&key, "text".into()), Update::ReplacedMapping);
        assert_eq!(checklist.get(&key), Some(&Value::from("text")));
    }

    #[test]
    fn a_snapshot_does_not_change_afterwards() {
        let mut checklist = Checklist::default();
        let key = Value::from("weather");
        checklist.update(&key, map(&[("00", 1)]));
        let before = checklist.to_value();
        checklist.update(&key, map(&[("00", 2)]));
        assert_eq!(before.get("weather"), Some(&map(&[("00", 1)])));
    }
}
