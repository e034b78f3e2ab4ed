//! A named logger. It never fails: handlers report their own problems.

use std::fmt::Display;
use std::panic::Location;

use jiff::Timestamp;

use super::active;
use super::early::show_on_stderr;
use super::level::Level;
use super::record::LogRecord;

/// Writes lines under one name (`[manager]`) to the handlers of the configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logger {
    name: String,
}

impl Logger {
    /// Create the logger of that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Return the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Return whether the logger accepts lines of that level. Call this before creating an expensive text.
    #[must_use]
    pub fn enabled(&self, level: Level) -> bool {
        active::enabled(&self.name, level)
    }

    /// Write one line, or several that stay together. The text is created only if the logger accepts the level.
    #[track_caller]
    pub fn log(&self, level: Level, text: impl Display) {
        self.write(level, text, false, Location::caller());
    }

    /// Write a text of several lines as it is. No line end in it may come from outside of the program: what follows one looks like a
    /// record of its own.
    #[track_caller]
    pub fn log_block(&self, level: Level, text: impl Display) {
        self.write(level, text, true, Location::caller());
    }

    fn write(&self, level: Level, text: impl Display, is_block: bool, caller: &Location<'_>) {
        if !self.enabled(level) {
            return;
        }
        write(&LogRecord {
            name: self.name.as_str().into(),
            publisher: None,
            level,
            created: Timestamp::now(),
            message: text.to_string().into(),
            is_block,
            source: Some((caller.file(), caller.line())),
        });
    }

    /// Write a line that another program published. In formats, `logger_name` is that program's name.
    pub fn relay(&self, publisher: &str, level: Level, text: &str) {
        if self.enabled(level) {
            write(&LogRecord {
                name: self.name.as_str().into(),
                publisher: Some(publisher.into()),
                level,
                created: Timestamp::now(),
                message: text.into(),
                is_block: false,
                source: None,
            });
        }
    }

    /// Write at level DEBUG.
    #[track_caller]
    pub fn debug(&self, text: impl Display) {
        self.log(Level::DEBUG, text);
    }

    /// Write at level INFO.
    #[track_caller]
    pub fn info(&self, text: impl Display) {
        self.log(Level::INFO, text);
    }

    /// Write at level WARNING.
    #[track_caller]
    pub fn warning(&self, text: impl Display) {
        self.log(Level::WARNING, text);
    }

    /// Write at level ERROR.
    #[track_caller]
    pub fn error(&self, text: impl Display) {
        self.log(Level::ERROR, text);
    }

    /// Write at level CRITICAL.
    #[track_caller]
    pub fn critical(&self, text: impl Display) {
        self.log(Level::CRITICAL, text);
    }
}

fn write(record: &LogRecord<'_>) {
    if !active::handle(record) {
        show_on_stderr(record);
    }
}
