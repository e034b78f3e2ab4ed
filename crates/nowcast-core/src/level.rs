//! [`Level`]: the level of a log line.

use std::fmt;

/// The level of a log line, by Python's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Details for diagnosis.
    Debug,
    /// Normal operation.
    Info,
    /// Something unexpected that needs no action yet.
    Warning,
    /// A failure.
    Error,
    /// A problem that needs an operator.
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
