//! [`RuleProblem`]: an error or warning about rules, shown as compilers do.

use std::fmt::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

/// The longest line of the rules that is shown, in characters.
const LONGEST_LINE: usize = 160;

/// How bad a [`RuleProblem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleSeverity {
    /// It fails, with what the system really has.
    Error,
    /// It can fail, or is probably not as it was meant.
    Warning,
}

/// One thing that is wrong: where, what, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleProblem {
    /// How bad it is.
    pub severity: RuleSeverity,
    /// What kind it is, for programs: `unknown name`.
    pub kind: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1, where there is one to point at.
    pub line: Option<usize>,
    /// The column, in characters from 1, where one is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// Why, and what to do.
    pub notes: Vec<String>,
    /// The source line.
    pub source: Option<String>,
    /// How many characters from the column on are meant.
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
    /// The place as `rules/next_workers.lua:12:5`.
    #[must_use]
    pub fn place(&self) -> String {
        let mut place = self.file.display().to_string();
        for number in [self.line, self.line.and(self.column)].into_iter().flatten() {
            // Writing to a String cannot fail.
            let _ = write!(place, ":{number}");
        }
        place
    }

    /// All of it on one line, for a log.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = format!("{}: {}", self.place(), self.what);
        for note in &self.notes {
            line.push_str("; ");
            line.push_str(note);
        }
        line.replace('\n', " ")
    }

    /// The source line and where in it the place is.
    fn shown(&self) -> Option<(String, Option<usize>)> {
        let source = self.source.as_deref()?;
        let expanded = |text: &str| text.replace('\t', "    ");
        let before: String = source.chars().take(self.column.unwrap_or(1).saturating_sub(1)).collect();
        let at = expanded(&before).chars().count();
        let line = expanded(source.trim_end());
        if line.chars().count() <= LONGEST_LINE {
            return Some((line, self.column.map(|_| at)));
        }
        // The part of it around the place.
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
