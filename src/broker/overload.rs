//! [`Overload`]: tells of requests that are discarded, since they exceed a limit. It never discards one.

use std::time::{Duration, Instant};

use super::requests::ExceededLimit;
use pylogging::Logger;

/// The shortest time between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What was discarded since the last log line.
pub(super) struct Overload {
    discarded: u64,
    logged: Option<Instant>,
    log: Logger,
}

impl Overload {
    pub(super) fn new(log: Logger) -> Self {
        Self { discarded: 0, logged: None, log }
    }

    /// Note that a request was discarded.
    pub(super) fn note(&mut self, limit: ExceededLimit) {
        self.discarded += 1;
        let now = Instant::now();
        if self.logged.is_some_and(|logged| now.duration_since(logged) < LOG_INTERVAL) {
            return;
        }
        let Self { discarded, log, .. } = self;
        log.error(format_args!(
            "requests over the limit `security: limits: {limit}:` are discarded, and their workers get no reply; discarded since the last \
             such line: {discarded}"
        ));
        self.logged = Some(now);
        self.discarded = 0;
    }
}
