//! What is said about a `logging:` section that is wrong, or right but not possible yet.

use std::fmt;

/// Why a `logging:` section cannot be used: what, where, why, and what to do.
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
    /// An error at those keys: what is wrong, and what to do.
    pub fn new(place: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), place: place.into(), why: String::new(), remedy: remedy.into() }
    }

    /// The same error with its reason.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = format!(": {why}");
        self
    }

    /// The keys that lead to the mistake: `logging: handlers: console: class`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

/// Something in a `logging:` section that was passed over; logging works without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    place: String,
    text: String,
}

impl Warning {
    /// A warning at those keys.
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }

    /// The keys that lead to it: `logging: handlers: email: class`.
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

/// "did you mean X?" where something known is spelt nearly like it, and all that is known.
pub(super) fn choose_from<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let all = known.join(", ");
    match nearest(written, known) {
        Some(near) => format!("did you mean {near}? Known: {all}"),
        None if all.is_empty() => "none is defined".into(),
        None => format!("use one of {all}"),
    }
}

/// The known word that is spelt nearly like what was written.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two slips in a word, or only case: more than that is another word.
    const SLIPS: usize = 2;
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&written.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= SLIPS && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
