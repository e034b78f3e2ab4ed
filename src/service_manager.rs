//! [`ServiceManager`]: notifies systemd when a daemon is ready, and sends the keep-alives of its watchdog. Without systemd it does nothing, and it never fails.

use std::cell::Cell;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// How a daemon reports to the service manager that started it, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
#[derive(Debug)]
pub struct ServiceManager {
    /// The interval between keep-alives: half of the timeout, as systemd recommends.
    interval: Option<Duration>,
    /// The last notification.
    last: Cell<Option<Instant>>,
}

impl ServiceManager {
    /// Read from the environment what the service manager wants to know.
    #[must_use]
    pub fn of_environment() -> Self {
        Self { interval: sd_notify::watchdog_enabled().map(|timeout| timeout / 2), last: Cell::new(None) }
    }

    /// Notify that the daemon serves requests.
    pub fn ready(&self) {
        // If systemd cannot be reached, only the notification is lost.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        self.last.set(Some(Instant::now()));
    }

    /// Send a keep-alive, if it is due.
    pub fn keep_alive(&self) {
        if self.due().is_some_and(|due| due.is_zero()) {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            self.last.set(Some(Instant::now()));
        }
    }

    /// Return how long the loop may wait before the next keep-alive; `None` without a watchdog, or before the daemon is ready.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.interval?.checked_sub(self.last.get()?.elapsed()).or(Some(Duration::ZERO))
    }
}
