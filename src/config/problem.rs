//! [`Problem`]: an error, warning or note about a configuration, for people.

use std::fmt;
use std::path::{Path, PathBuf};

use pyyaml::Value;

/// The severity of a [`Problem`].
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

/// A problem, with its place and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The severity of the problem.
    pub severity: Severity,
    /// The configuration file.
    pub file: PathBuf,
    /// The line in the file, from 1, if the problem has one.
    pub line: Option<usize>,
    /// The keys that lead to the place, such as `zmq: ports: manager`; empty for the file as a whole.
    pub key: String,
    /// The description and the remedy.
    pub text: String,
}

impl Problem {
    /// Return the error of a file as a whole, such as one that cannot be read or parsed.
    pub(super) fn of_file(file: &Path, line: Option<usize>, text: String) -> Self {
        Self { severity: Severity::Error, file: file.to_owned(), line, key: String::new(), text }
    }

    /// Return the file, and the line if there is one.
    #[must_use]
    pub fn place(&self) -> String {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        format!("{}{line}", self.file.display())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.place())?;
        if !self.key.is_empty() {
            write!(out, ", {}", self.key)?;
        }
        write!(out, ": {}", self.text)
    }
}

/// The error for an unusable configuration: every problem that was found, errors first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The problems, of which at least one is an error.
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

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// Return the keys of a path as people know them: the entries of a list are counted from 1.
pub(super) fn key_of(path: &[&str]) -> String {
    let counted = |key: &&str| {
        key.parse::<usize>().map_or_else(|_| (*key).to_owned(), |index| format!("entry {}", index + 1))
    };
    path.iter().map(counted).collect::<Vec<_>>().join(": ")
}

/// Return a key or a value as a text for people.
pub(super) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| pyyaml::python::repr_value(value), str::to_owned)
}
