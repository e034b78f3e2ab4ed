//! [`ServiceManager`]: notifies systemd or `nowcast up` when a daemon is ready and of the result of its reload, and sends the keep-alives of systemd's
//! watchdog. Without either it does nothing, and it never fails.

use std::cell::Cell;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};

/// The variable of a notification that has a [`ReloadResult`]. systemd ignores variables that begin so.
pub const RELOAD_RESULT: &str = "X_NOWCAST_RELOAD";

/// The most characters of a result: a datagram has a limit of about 200 kB.
const MAX_RESULT: usize = 8_000;

/// The result of a daemon's reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadResult {
    /// Whether all was accepted.
    pub done: bool,
    /// What is in force now, or what was refused and why.
    pub text: String,
}

/// What a daemon has accepted that has nothing but its configuration to reload.
pub const ACCEPTED: &str = "configuration accepted";

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

    /// Notify that the daemon reloads its configuration. [`Self::reloaded`] must follow.
    pub fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            let _ = sd_notify::notify(&[NotifyState::Reloading, now]);
        }
    }

    /// Notify that the daemon serves requests again after a reload, with what was accepted or refused.
    pub fn reloaded(&self, result: &Result<String, String>) {
        let text = match result {
            Ok(text) | Err(text) => text.chars().take(MAX_RESULT).collect(),
        };
        let result = ReloadResult { done: result.is_ok(), text };
        let json = serde_json::to_string(&result).unwrap_or_default();
        let result = format!("{RELOAD_RESULT}={json}");
        let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Custom(&result)]);
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
