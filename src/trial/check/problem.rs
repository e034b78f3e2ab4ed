//! [`RuleProblem`]: an error or warning about rules, shown as by a compiler.

use std::fmt::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

/// The maximum length of a shown line of the rules, in characters.
const LONGEST_LINE: usize = 160;

/// The severity of a [`RuleProblem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleSeverity {
    /// A rule fails with data that the system really has.
    Error,
    /// A rule can fail, or is probably not as intended.
    Warning,
}

/// A problem with its place, its reasons and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleProblem {
    /// The severity of the problem.
    pub severity: RuleSeverity,
    /// The kind, for programs, such as `unknown name`.
    pub kind: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The line in the file, from 1, if the problem has one.
    pub line: Option<usize>,
    /// The column, in characters from 1, if it is known.
    pub column: Option<usize>,
    /// The description.
    pub what: String,
    /// The reasons and remedies.
    pub notes: Vec<String>,
    /// The source line; of a long one, the part around the column.
    pub source: Option<String>,
    /// The number of characters of the line before that part.
    #[serde(skip)]
    pub source_start: usize,
    /// The number of characters to mark, from the column on.
    #[serde(skip)]
    pub width: usize,
}

impl fmt::Display for RuleSeverity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            RuleSeverity::Error => "error",
            RuleSeverity::Warning => "warning",
        })
    }
}

impl RuleProblem {
    /// Return the place, such as `rules/next_workers.lua:12:5`.
    #[must_use]
    pub fn place(&self) -> String {
        let mut place = self.file.display().to_string();
        for number in [self.line, self.line.and(self.column)].into_iter().flatten() {
            // Writing to a String cannot fail.
            let _ = write!(place, ":{number}");
        }
        place
    }

    /// Return the whole problem on one line, for a log.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = format!("{}: {}", self.place(), self.what);
        for note in &self.notes {
            line.push_str("; ");
            line.push_str(note);
        }
        line.replace('\n', " ")
    }

    /// Set the source line. Of a long one only the part around the column is kept: a file may have all its rules, and all its problems,
    /// on one line.
    pub(super) fn set_source(&mut self, line: &str) {
        self.source_start = self.column.unwrap_or(1).saturating_sub(1 + LONGEST_LINE);
        self.source = Some(line.chars().skip(self.source_start).take(3 * LONGEST_LINE).collect());
    }

    /// Return the source line, and the position of the problem in it.
    fn shown(&self) -> Option<(String, Option<usize>)> {
        let source = self.source.as_deref()?;
        let expanded = |text: &str| text.replace('\t', "    ");
        let column = self.column.unwrap_or(1).saturating_sub(1 + self.source_start);
        let before: String = source.chars().take(column).collect();
        let at = expanded(&before).chars().count();
        let line = expanded(source.trim_end());
        if line.chars().count() <= LONGEST_LINE {
            return Some((line, self.column.map(|_| at)));
        }
        // Only the part around the place is shown.
        let from = at.saturating_sub(LONGEST_LINE / 2);
        let part: String = line.chars().skip(from).take(LONGEST_LINE).collect();
        let (cut, more) = if from > 0 { ("…", 1) } else { ("", 0) };
        Some((format!("{cut}{part}…"), self.column.map(|_| at - from + more)))
    }
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {}", self.severity, self.what)?;
        let number = self.line.map(|line| line.to_string()).unwrap_or_default();
        let margin = " ".repeat(number.len());
        writeln!(out, "{margin}--> {}", self.place())?;
        if let Some((line, at)) = self.shown() {
            writeln!(out, "{number} | {line}")?;
            if let Some(at) = at {
                writeln!(out, "{margin} | {}{}", " ".repeat(at), "^".repeat(self.width.max(1)))?;
            }
        }
        for note in &self.notes {
            writeln!(out, "{margin} = {note}")?;
        }
        Ok(())
    }
}
