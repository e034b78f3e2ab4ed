//! Writing: `PyYAML`'s `yaml.dump` in block style, byte for byte.

mod analysis;
mod emitter;
mod order;
mod quoted;
mod scalar;

pub(super) use order::compare;
pub(crate) use scalar::float_digits;

use super::Value;

/// The order in which the keys of mappings and the members of sets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As Python's `sorted` has them: `yaml.dump(value)`. As given where Python cannot sort them.
    Sorted,
    /// As they stand in the value: `yaml.dump(value, sort_keys=False)`.
    AsGiven,
}

/// Writes a value as `PyYAML`'s `yaml.dump` does, in ASCII.
///
/// A value that is used more than once is written out each time: there are no anchors.
#[must_use]
pub fn write(value: &Value, keys: Keys) -> String {
    emitter::Emitter::new(keys).document(value)
}
