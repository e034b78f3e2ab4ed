//! [`Entry`]: a line of a log with the lines that belong to it. [`Filter`]: which entries are shown.

use jiff::Timestamp;

use pylogging::{ConfiguredFile, Level, LineHead};

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub head: LineHead,
    /// Its lines, without the last line end.
    pub text: String,
}

/// The conditions for an entry to be shown.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// The loggers; all if there is none.
    pub names: Vec<String>,
    pub level: Level,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl Filter {
    pub(super) fn shows(&self, head: &LineHead) -> bool {
        let is_named = |name: &str| self.names.iter().any(|known| known == name);
        (self.names.is_empty() || head.name.as_deref().is_some_and(is_named))
            && head.level.is_none_or(|level| level >= self.level)
            && self.since.is_none_or(|since| head.time >= since)
            && self.until.is_none_or(|until| head.time <= until)
    }
}

/// Makes entries of lines.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The entry that further lines may belong to.
    open: Option<Entry>,
}

impl Assembler {
    /// Add a line. Return the entry before it, if it begins one.
    pub(super) fn push(&mut self, line: &str, file: &ConfiguredFile) -> Option<Entry> {
        match (file.head(line), &mut self.open) {
            (Some(head), _) => self.open.replace(Entry { head, text: line.to_owned() }),
            (None, Some(entry)) => {
                entry.text.push('\n');
                entry.text.push_str(line);
                None
            }
            // The beginning of the entry was in a file that was removed.
            (None, None) => None,
        }
    }

    /// Return the last entry.
    pub(super) fn finish(&mut self) -> Option<Entry> {
        self.open.take()
    }
}
