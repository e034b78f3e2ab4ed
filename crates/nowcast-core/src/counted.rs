//! Counts in texts for people: `1 run`, `2 runs`. This module never decides what is counted.

use std::fmt::Display;

/// Return a count with its noun, or with the rest of the sentence, in the singular or the plural.
///
/// ```
/// use nowcast_core::counted::counted;
///
/// assert_eq!(counted(1, "run is stopping", "runs are stopping"), "1 run is stopping");
/// assert_eq!(counted(0, "run", "runs"), "0 runs");
/// ```
// A count is a number, which is copied.
#[allow(clippy::needless_pass_by_value)]
pub fn counted(count: impl Display + PartialEq + From<u8>, one: &str, many: &str) -> String {
    let words = plural(&count, one, many);
    format!("{count} {words}")
}

/// Return the words that fit a count: `one` for 1, otherwise `many`.
pub fn plural<'a>(count: &(impl PartialEq + From<u8>), one: &'a str, many: &'a str) -> &'a str {
    if *count == 1.into() { one } else { many }
}
