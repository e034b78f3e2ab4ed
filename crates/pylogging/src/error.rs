//! Errors and warnings about a `logging:` section. This module never reads one.

use std::fmt;

/// A `logging:` section that cannot be used: what is wrong, where, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} ({place}){why}; {remedy}")]
pub struct SetupError {
    what: String,
    place: String,
    /// Empty, or a colon and the reason.
    why: String,
    remedy: String,
}

impl SetupError {
    /// Create an error about the keys `place`: what is wrong, and what to do.
    pub fn new(place: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), place: place.into(), why: String::new(), remedy: remedy.into() }
    }

    /// Add the reason to the error.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = format!(": {why}");
        self
    }

    /// Return the keys that lead to the mistake: `logging: handlers: console: class`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

/// A part of a `logging:` section that is ignored; logging works without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    place: String,
    text: String,
}

impl Warning {
    /// Create a warning about the keys `place`.
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }

    /// Return the keys that lead to the ignored part: `logging: handlers: email: class`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.text, self.place)
    }
}

/// Return the remedy for an unknown name: "did you mean X?" if a known one is similar, and all known names.
pub(super) fn choose_from<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let all = known.join(", ");
    match error_text::closest(written, known) {
        Some(near) => format!("did you mean {near}? Known: {all}"),
        None if all.is_empty() => "none is defined".into(),
        None => format!("use one of {all}"),
    }
}
