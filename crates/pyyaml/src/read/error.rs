//! The error for a text that could not be read, and its place.

use std::fmt;

/// A place in a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The line; the first is 1.
    pub line: usize,
    /// The character in the line; the first is 1.
    pub column: usize,
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}

/// The longest part of an error message, in characters.
const LONGEST_TEXT: usize = 200;

/// The reason why a text could not be read.
// Boxed to keep the stack frames of nested collections small, since every step of the reader returns it.
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
        Self(Box::new(Reason { mark, what: shortened(what.into()), why: None }))
    }

    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.0.why = Some(shortened(why.into()));
        self
    }

    /// Return the place in the text.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.0.mark
    }

    /// Return what is wrong there.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Return why it is wrong or what to write instead, if there is something to add.
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

/// Cut a text to [`LONGEST_TEXT`], because a name may have a megabyte.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Describe a character for an error message.
pub(super) fn shown(character: char) -> String {
    match character {
        '\0' => "the end of the text".to_owned(),
        '\t' => "a tab".to_owned(),
        '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => "the end of the line".to_owned(),
        _ => format!("{character:?}"),
    }
}
