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

/// Return a number of bytes.
///
/// ```
/// use nowcast_core::counted::size;
///
/// let sizes = [999, 12_345, 999_999_999, 1_260_000_000].map(size);
/// assert_eq!(sizes, ["999 bytes", "12 kB", "999 MB", "1.2 GB"]);
/// ```
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}
