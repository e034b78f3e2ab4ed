//! [`Problem`]: an error, warning or note about a configuration, for people.

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; everything works.
    Note,
    /// Works, but probably not as it was meant.
    Warning,
    /// Wrong, but `NEMO_Nowcast` reads such a file, so daemons that share it still start: they log a warning, and
    /// `config check` and `doctor` fail.
    Mistake,
    /// The configuration cannot be used.
    Error,
}

/// One thing that is wrong: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The configuration file.
    pub file: PathBuf,
    /// The line in it, from 1, where there is one to point at.
    pub line: Option<usize>,
    /// The keys that lead to the place, `zmq: ports: manager`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do about it.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(out, ", line {line}")?;
        }
        if !self.key.is_empty() {
            write!(out, ", {}", self.key)?;
        }
        write!(out, ": {}", self.text)
    }
}

/// A configuration that cannot be used: every problem that was found, errors first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one of them is an error.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error);
        for (number, problem) in errors.enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}

impl ConfigError {
    /// The error of a file that could not even be read.
    pub(super) fn whole_file(file: &Path, line: Option<usize>, text: String) -> Self {
        let problem =
            Problem { severity: Severity::Error, file: file.to_owned(), line, key: String::new(), text };
        Self { problems: vec![problem] }
    }
}
