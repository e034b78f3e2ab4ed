//! [`Cycle`]: the label of one forecast, which its runs and messages share.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest label in characters.
const LONGEST: usize = 64;

/// A label: 1 to 64 letters, digits and `. _ : + -`, such as `2026-11-24T06`. Labels have no order of time; this one is for maps only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cycle(Arc<str>);

impl Cycle {
    /// Check a label.
    ///
    /// # Errors
    /// It is empty or too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidCycle> {
        let is_allowed =
            |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | ':' | '+' | '-');
        // `none` is how an operator says that there is none.
        if text.is_empty() || text == "none" || text.len() > LONGEST || !text.chars().all(is_allowed) {
            return Err(InvalidCycle(text.chars().take(LONGEST).collect()));
        }
        Ok(Self(text.into()))
    }

    /// Return the label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for Cycle {
    type Error = InvalidCycle;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Cycle> for String {
    fn from(cycle: Cycle) -> Self {
        cycle.0.as_ref().to_owned()
    }
}

/// A text that is not a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCycle(String);

impl fmt::Display for InvalidCycle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "invalid cycle {:?}: use 1 to {LONGEST} letters, digits and the characters . _ : + -",
            self.0
        )?;
        if self.0 == "none" { out.write_str(", other than the word none") } else { Ok(()) }
    }
}

impl std::error::Error for InvalidCycle {}

/// The option `cycle` of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredOption", into = "StoredOption")]
pub enum CycleOption {
    /// It belongs to this cycle.
    Label(Cycle),
    /// It belongs to none: `false`.
    None,
}

/// The option in JSON: a label or `false`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredOption {
    Label(Cycle),
    None(bool),
}

impl TryFrom<StoredOption> for CycleOption {
    type Error = &'static str;

    fn try_from(stored: StoredOption) -> Result<Self, Self::Error> {
        match stored {
            StoredOption::Label(cycle) => Ok(Self::Label(cycle)),
            StoredOption::None(false) => Ok(Self::None),
            StoredOption::None(true) => Err("the cycle of a launch is a label or false"),
        }
    }
}

impl From<CycleOption> for StoredOption {
    fn from(option: CycleOption) -> Self {
        match option {
            CycleOption::Label(cycle) => Self::Label(cycle),
            CycleOption::None => Self::None(false),
        }
    }
}

impl fmt::Display for CycleOption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CycleOption::Label(cycle) => cycle.fmt(out),
            CycleOption::None => out.write_str("none"),
        }
    }
}

impl CycleOption {
    /// Return the label; `None` for none.
    #[must_use]
    pub fn into_label(self) -> Option<Cycle> {
        match self {
            Self::Label(cycle) => Some(cycle),
            Self::None => None,
        }
    }

    /// Return the option for a launch in the same cycle as another one, or in none.
    #[must_use]
    pub fn same_as(cycle: Option<&Cycle>) -> Self {
        cycle.map_or(Self::None, |cycle| Self::Label(cycle.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(text: &str) -> Cycle {
        Cycle::parse(text).unwrap()
    }

    #[test]
    fn a_label_has_up_to_64_plain_characters() {
        for text in ["2026-11-24", "2026-11-24T06:00+00:00", "hindcast-12", "a_b.c", &"x".repeat(64)] {
            assert_eq!(cycle(text).to_string(), text);
        }
        for text in ["", "none", "a b", "ä", "a/b", "$(x)", "a\n", &"x".repeat(65)] {
            let error = Cycle::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("invalid cycle \""), "{error}");
        }
    }
}
