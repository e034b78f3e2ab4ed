//! Python's log levels, by number. The `log` crate has fewer levels, so a record carries the number as well.

use std::borrow::Cow;
use std::fmt;

/// The severity of a line: Python's number, 10 for DEBUG to 50 for CRITICAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u32);

/// The names of Python's `logging`, with the aliases that a configuration may use.
const NAMES: [(&str, Level); 8] = [
    ("CRITICAL", Level::CRITICAL),
    ("FATAL", Level::CRITICAL),
    ("ERROR", Level::ERROR),
    ("WARNING", Level::WARNING),
    ("WARN", Level::WARNING),
    ("INFO", Level::INFO),
    ("DEBUG", Level::DEBUG),
    ("NOTSET", Level::NOTSET),
];

impl Level {
    /// 0: for a logger the level of its parent, for a handler every line.
    pub const NOTSET: Level = Level(0);
    /// 5: the level of `log::trace!`, as Python has no name below DEBUG.
    pub const TRACE: Level = Level(5);
    /// Python's level 10.
    pub const DEBUG: Level = Level(10);
    /// Python's level 20.
    pub const INFO: Level = Level(20);
    /// Python's level 30.
    pub const WARNING: Level = Level(30);
    /// Python's level 40.
    pub const ERROR: Level = Level(40);
    /// Python's level 50.
    pub const CRITICAL: Level = Level(50);

    /// Return the level of that name; as in Python, case counts.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
    }

    /// Return every name that [`Level::from_name`] accepts.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Return its name, as lines have it.
    pub(super) fn name(self) -> Cow<'static, str> {
        match self {
            Level::NOTSET => "NOTSET".into(),
            Level::DEBUG => "DEBUG".into(),
            Level::INFO => "INFO".into(),
            Level::WARNING => "WARNING".into(),
            Level::ERROR => "ERROR".into(),
            Level::CRITICAL => "CRITICAL".into(),
            Level(number) => format!("Level {number}").into(),
        }
    }

    /// Return the nearest level of the `log` crate, whose highest is ERROR.
    pub(super) fn facade(self) -> log::Level {
        match self.0 {
            0..10 => log::Level::Trace,
            10..20 => log::Level::Debug,
            20..30 => log::Level::Info,
            30..40 => log::Level::Warn,
            _ => log::Level::Error,
        }
    }
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Trace => Level::TRACE,
            log::Level::Debug => Level::DEBUG,
            log::Level::Info => Level::INFO,
            log::Level::Warn => Level::WARNING,
            log::Level::Error => Level::ERROR,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_pythons() {
        assert_eq!(Level::from_name("WARN"), Some(Level::WARNING));
        assert_eq!(Level::from_name("debug"), None);
        assert_eq!(Level(5).to_string(), "Level 5");
        assert_eq!(format!("{:<8}|", Level::INFO), "INFO    |");
    }

    #[test]
    fn a_level_survives_the_facade_within_its_class() {
        for level in [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARNING, Level::ERROR] {
            assert_eq!(Level::from(level.facade()), level);
        }
        assert_eq!(Level(100).facade(), log::Level::Error);
    }
}
