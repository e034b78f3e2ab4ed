//! Words as a line for a shell. This module never runs one.

/// Join words, quoted where the shell needs it. A word with a NUL, which no shell takes, is not quoted.
#[must_use]
pub fn joined(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
