//! [`Level`]: how much a line in the log matters.

use std::fmt;

/// How much a line in the log matters, by Python's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For those who look for a cause.
    Debug,
    /// What is done.
    Info,
    /// Something unexpected that needs no action yet.
    Warning,
    /// Something that failed.
    Error,
    /// Something that an operator must look at.
    Critical,
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Critical => "CRITICAL",
        })
    }
}
