//! Writes values: `PyYAML`'s `yaml.dump` in block style, byte for byte.

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
    /// The order of Python's `sorted`, as in `yaml.dump(value)`; the order of the value if Python cannot sort it.
    Sorted,
    /// The order of the value, as in `yaml.dump(value, sort_keys=False)`.
    AsGiven,
}

/// Write a value in ASCII, as `PyYAML`'s `yaml.dump` does.
///
/// A value that occurs more than once is written each time: there are no anchors.
///
/// ```
/// use pyyaml::Keys;
///
/// let value = pyyaml::read("{b: 'no', a: [1, 2.0]}")?;
/// assert_eq!(pyyaml::write(&value, Keys::Sorted), "a:\n- 1\n- 2.0\nb: 'no'\n");
/// assert_eq!(pyyaml::write(&value, Keys::AsGiven), "b: 'no'\na:\n- 1\n- 2.0\n");
/// # Ok::<(), pyyaml::ReadError>(())
/// ```
#[must_use]
pub fn write(value: &Value, keys: Keys) -> String {
    emitter::Emitter::new(keys).document(value)
}
