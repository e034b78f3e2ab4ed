//! Why a text could not be read, and where.

use std::fmt;

/// A place in a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The line, the first is 1.
    pub line: usize,
    /// The character in the line, the first is 1.
    pub column: usize,
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// Where in the text.
    pub mark: Mark,
    /// What is wrong there.
    pub what: String,
    /// Why it is wrong or what to write instead, where there is something to add.
    pub why: Option<String>,
}

impl ReadError {
    pub(super) fn new(mark: Mark, what: impl Into<String>) -> Self {
        Self { mark, what: what.into(), why: None }
    }

    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.mark, self.what)?;
        match &self.why {
            Some(why) => write!(out, " ({why})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ReadError {}

/// A character as an error message shows it.
pub(super) fn shown(character: char) -> String {
    match character {
        '\0' => "the end of the text".to_owned(),
        '\t' => "a tab".to_owned(),
        '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => "the end of the line".to_owned(),
        _ => format!("{character:?}"),
    }
}
