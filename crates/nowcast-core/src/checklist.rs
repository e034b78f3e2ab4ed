//! The checklist: the state of the user's system, one entry for each checklist key.

use std::sync::Arc;

use pyyaml::{Map, Value};

/// The checklist. A snapshot costs nothing, since values are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checklist {
    entries: Arc<Map>,
}

impl Checklist {
    /// Create a checklist with these entries.
    #[must_use]
    pub fn new(entries: Map) -> Self {
        Self { entries: Arc::new(entries) }
    }

    /// Return the whole checklist as one value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Map(Arc::clone(&self.entries))
    }

    /// Return its entries, in insertion order.
    #[must_use]
    pub fn entries(&self) -> &Map {
        &self.entries
    }

    /// Return the entry under a key.
    #[must_use]
    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.entries.get(key)
    }

    /// Return the keys, in insertion order.
    pub fn keys(&self) -> impl Iterator<Item = &Value> {
        self.entries.keys()
    }

    /// Return whether it has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Set the value at a path of keys; missing mappings on the way are created.
    pub fn set(&mut self, path: &[Value], value: Value) {
        let Some((key, rest)) = path.split_first() else { return };
        let slot = Arc::make_mut(&mut self.entries).entry(key.clone()).or_default();
        set(slot, rest, value);
    }

    /// Return this checklist with the difference between `base`, an older one, and `edited` applied to it.
    #[must_use]
    pub fn with_edit(&self, base: &Map, edited: &Map) -> Map {
        merge(base, edited, &self.entries)
    }

    /// Return whether [`Checklist::update`] would replace a mapping by another kind of value.
    #[must_use]
    pub fn would_lose_mapping(&self, key: &Value, payload: &Value) -> bool {
        self.get(key).and_then(Value::as_map).is_some() && payload.as_map().is_none()
    }

    /// Put a payload under a key as NEMO_Nowcast does: a mapping is merged into a mapping, one level deep, and a set
    /// into a set; other values replace the entry.
    pub fn update(&mut self, key: &Value, payload: Value) {
        let entries = Arc::make_mut(&mut self.entries);
        let Some(entry) = entries.get_mut(key) else {
            entries.insert(key.clone(), payload);
            return;
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
            (entry, payload) => *entry = payload,
        }
    }
}

fn merge(base: &Map, edited: &Map, current: &Map) -> Map {
    let mut merged = current.clone();
    merged.retain(|key, _| edited.contains_key(key) || !base.contains_key(key));
    for (key, value) in edited {
        match (base.get(key), value, merged.get(key)) {
            (Some(before), ..) if before == value => {}
            (Some(Value::Map(before)), Value::Map(edited), Some(Value::Map(current))) => {
                let inner = merge(before, edited, current);
                merged.insert(key.clone(), inner.into());
            }
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    merged
}

fn set(slot: &mut Value, path: &[Value], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *slot = value;
        return;
    };
    if !matches!(slot, Value::Map(_)) {
        *slot = Value::Map(Arc::default());
    }
    if let Value::Map(entries) = slot {
        set(Arc::make_mut(entries).entry(key.clone()).or_default(), rest, value);
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
        checklist.update(&key, map(&[("12", 3), ("00", 4)]));
        let keys: Vec<_> = checklist.get(&key).and_then(Value::as_map).into_iter().flatten().collect();
        let expected = map(&[("00", 4), ("06", 2), ("12", 3)]);
        assert_eq!(keys, expected.as_map().into_iter().flatten().collect::<Vec<_>>());
    }

    #[test]
    fn anything_else_replaces() {
        let mut checklist = Checklist::default();
        let key = Value::from("weather");
        checklist.update(&key, "text".into());
        assert!(!checklist.would_lose_mapping(&key, &map(&[("00", 1)])));
        checklist.update(&key, map(&[("00", 1)]));
        assert!(checklist.would_lose_mapping(&key, &"text".into()));
        checklist.update(&key, "text".into());
        assert_eq!(checklist.get(&key), Some(&Value::from("text")));
    }

    #[test]
    fn an_edit_of_an_older_checklist_changes_only_what_it_changed() {
        let read = |text: &str| pyyaml::read(text).unwrap().as_map().unwrap().clone();
        let base = read("{weather: {'00': 1, '06': 2}, rivers: old, gone: 1}");
        let edited = read("{weather: {'00': 5, '06': 2}, rivers: old, new: 7}");
        let current = Checklist::new(read("{weather: {'00': 1, '06': 2, '12': 3}, rivers: newer, gone: 1}"));
        let merged = current.with_edit(&base, &edited);
        assert_eq!(merged, read("{weather: {'00': 5, '06': 2, '12': 3}, rivers: newer, new: 7}"));
    }

    #[test]
    fn a_value_is_set_at_a_path() {
        let mut checklist = Checklist::default();
        checklist.set(&["weather".into(), "00".into()], 1.into());
        checklist.set(&["weather".into(), "06".into()], 2.into());
        assert_eq!(checklist.get(&"weather".into()), Some(&map(&[("00", 1), ("06", 2)])));
        checklist.set(&["weather".into()], 3.into());
        assert_eq!(checklist.get(&"weather".into()), Some(&3.into()));
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
