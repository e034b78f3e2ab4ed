//! [`LineHead`]: what a format shows of a line before its message, read back. This module never reads a file.

use jiff::Timestamp;

use super::attribute::Attribute;
use super::level::Level;

/// What is known of a line by its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineHead {
    /// Its time.
    pub time: Timestamp,
    /// Its level, if the format shows it.
    pub level: Option<Level>,
    /// The logger or the program, if the format shows it.
    pub name: Option<String>,
}

impl Attribute {
    /// Note the text of this attribute in what is known of a line.
    pub(super) fn note(self, text: &str, head: &mut (Option<Level>, Option<String>)) {
        match self {
            Attribute::LevelName => head.0 = Level::from_name(text),
            Attribute::LevelNo => head.0 = text.parse().ok().map(Level),
            Attribute::Name if head.1.is_none() => head.1 = Some(text.to_owned()),
            Attribute::LoggerName => head.1 = Some(text.to_owned()),
            _ => {}
        }
    }
}
