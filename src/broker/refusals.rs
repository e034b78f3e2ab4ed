//! [`Refusals`]: tells of managers that are refused, since another one is connected. It never refuses one.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::net::ManagerIdentity;
use crate::net::broker_state::RefusedManager;
use pylogging::Logger;

/// How long a refusal is shown, and the shortest time between two log lines. A manager that is refused tries again every few
/// seconds.
const SHOWN_TIME: Duration = Duration::from_secs(60);

/// The last refused manager.
pub(super) struct Refusals {
    last: Option<(RefusedManager, Instant)>,
    logged: Option<Instant>,
    log: Logger,
}

impl Refusals {
    pub(super) fn new(log: Logger) -> Self {
        Self { last: None, logged: None, log }
    }

    /// Note that a manager at an address was refused, while this one is connected, if it is known.
    pub(super) fn note(&mut self, address: String, connected: Option<&ManagerIdentity>) {
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= SHOWN_TIME) {
            self.logged = Some(now);
            let connected =
                connected.map_or("one that does not introduce itself".to_owned(), ToString::to_string);
            self.log.error(format_args!(
                "a second manager, at {address}, is refused while another is connected ({connected}). Stop one of them, or \
                 set `broker: managers: many` to let them share the messages"
            ));
        }
        self.last = Some((RefusedManager { address, at: Timestamp::now() }, now));
    }

    /// Forget a refusal that is too old to be shown.
    pub(super) fn expire(&mut self) {
        self.last.take_if(|(_, at)| at.elapsed() >= SHOWN_TIME);
    }

    /// Return when [`Self::expire`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.as_ref().map(|(_, at)| *at + SHOWN_TIME)
    }

    /// Return the last refused manager.
    pub(super) fn last(&self) -> Option<&RefusedManager> {
        self.last.as_ref().map(|(refused, _)| refused)
    }
}
