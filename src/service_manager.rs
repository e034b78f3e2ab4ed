//! [`ServiceManager`]: tells systemd when a daemon is ready, and that its loop still turns. Without systemd it does nothing, and it never fails.

use std::cell::Cell;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// How a daemon reports to the service manager that started it, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
#[derive(Debug)]
pub struct ServiceManager {
    /// The interval between reports that the loop turns: half of the timeout, as systemd recommends.
    interval: Option<Duration>,
    last: Cell<Option<Instant>>,
}

impl ServiceManager {
    /// Read from the environment what the service manager wants to know.
    #[must_use]
    pub fn of_environment() -> Self {
        Self { interval: sd_notify::watchdog_enabled().map(|timeout| timeout / 2), last: Cell::new(None) }
    }

    /// Report that the daemon serves requests.
    pub fn ready(&self) {
        // A service manager that cannot be reached loses nothing but the report.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    /// Report that the loop turns, if it is time to.
    pub fn keep_alive(&self) {
        if self.due().is_some_and(|due| due.is_zero()) {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            self.last.set(Some(Instant::now()));
        }
    }

    /// Return how long the loop may wait before the next report; `None` if there is none.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let interval = self.interval?;
        let since = self.last.get().map_or(interval, |last| last.elapsed());
        Some(interval.saturating_sub(since))
    }
}
