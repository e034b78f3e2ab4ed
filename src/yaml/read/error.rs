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
// Boxed, as every step of the reader returns it: that keeps the frames of nested collections small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError(Box<Reason>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    mark: Mark,
    what: String,
    why: Option<String>,
}

impl ReadError {
    pub(super) fn new(mark: Mark, what: impl Into<String>) -> Self {
        Self(Box::new(Reason { mark, what: what.into(), why: None }))
    }

    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.0.why = Some(why.into());
        self
    }

    /// Where in the text.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.0.mark
    }

    /// What is wrong there.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Why it is wrong or what to write instead, where there is something to add.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.0.why.as_deref()
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.mark(), self.what())?;
        match self.why() {
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
