//! The order in which Python prints the members of mappings and sets.

use crate::value::{Map, Set, Value};
use crate::write::compare;

/// Return the pairs of a mapping in the order of their keys.
pub(super) fn sorted_pairs(map: &Map) -> Vec<(&Value, &Value)> {
    let mut pairs: Vec<(&Value, &Value)> = map.iter().collect();
    pairs.sort_by(|a, b| compare(a.0, b.0));
    pairs
}

/// Return the members of a set in order.
pub(super) fn sorted_members(set: &Set) -> Vec<&Value> {
    let mut members: Vec<&Value> = set.iter().collect();
    members.sort_by(|a, b| compare(a, b));
    members
}
