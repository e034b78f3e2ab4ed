//! Python's log levels.

use std::fmt;

/// How much a line in the log matters: Python's number, 10 for DEBUG to 50 for CRITICAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u32);

impl Level {
    /// 10
    pub const DEBUG: Level = Level(10);
    /// 20
    pub const INFO: Level = Level(20);
    /// 30
    pub const WARNING: Level = Level(30);
    /// 40
    pub const ERROR: Level = Level(40);
    /// 50
    pub const CRITICAL: Level = Level(50);
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Level::DEBUG => out.pad("DEBUG"),
            Level::INFO => out.pad("INFO"),
            Level::WARNING => out.pad("WARNING"),
            Level::ERROR => out.pad("ERROR"),
            Level::CRITICAL => out.pad("CRITICAL"),
            Level(number) => out.pad(&format!("Level {number}")),
        }
    }
}
