//! Values as Python prints them: `repr` and `pprint.pformat`, for log lines that match the peer's.

/// A string as Python's `repr` shows it.
#[must_use]
pub fn repr(text: &str) -> String {
    format!("'{text}'")
}
