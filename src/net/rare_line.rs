//! [`RareLine`]: a log line about what other programs can cause without end. It is written once a minute at most.

use std::time::{Duration, Instant};

use pylogging::{Level, Logger};

/// The shortest time between two log lines.
const INTERVAL: Duration = Duration::from_secs(60);

/// A log line, and how many times its cause occurred since it was last written.
#[derive(Debug)]
pub struct RareLine {
    level: Level,
    log: Logger,
    written: Option<Instant>,
    /// Occurrences that were not logged.
    unlogged: u64,
}

impl RareLine {
    /// Start without an occurrence.
    #[must_use]
    pub fn new(level: Level, log: Logger) -> Self {
        Self { level, log, written: None, unlogged: 0 }
    }

    /// Note an occurrence, and log it unless the last line is too recent.
    pub fn note(&mut self, text: &str) {
        let now = Instant::now();
        if self.written.is_some_and(|written| now.duration_since(written) < INTERVAL) {
            self.unlogged += 1;
            return;
        }
        let others = match self.unlogged {
            0 => String::new(),
            count => format!(" ({count} more since the last such line)"),
        };
        self.log.log(self.level, format_args!("{text}{others}"));
        (self.written, self.unlogged) = (Some(now), 0);
    }
}
