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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_have_python_s_names() {
        let all = [Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];
        assert!(all.is_sorted());
        assert_eq!(all.map(|level| level.to_string()), ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]);
        assert_eq!(format!("{:<8}|", Level::Info), "INFO    |");
    }
}
