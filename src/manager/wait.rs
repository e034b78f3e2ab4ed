//! Waits for events, and does the work that no event asks for. It never decides anything.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use zmq::{POLLIN, PollItem};

use super::{Manager, ManagerError};
use crate::net::socket;
use crate::signals::Signals;
use nowcast_core::Event;

/// The longest time that the loop waits: the rules may have changed, a kill may be overdue, or the
/// clock may have been set.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The result of a wait.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) has_signal: bool,
    pub(super) has_operator_request: bool,
    /// No event has come, and no work waits in this process.
    is_idle: bool,
}

impl Manager {
    /// Wait until an event comes or something becomes due, and do nothing else.
    pub(super) fn wait(&self, signals: &Signals) -> Result<Ready, ManagerError> {
        let mut items = vec![
            self.broker.poll_item(),
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.runners.as_raw_fd(), POLLIN),
        ];
        items.extend(self.control.poll_items());
        let count = socket::poll(&mut items, socket::milliseconds(self.timeout()))?;
        Ok(Ready {
            has_signal: items[1].is_readable(),
            has_operator_request: items[3..].iter().any(PollItem::is_readable),
            is_idle: count == 0 && !self.has_work(),
        })
    }

    /// Maintain the control socket, send heartbeats and tidy the journal: work that no event asks for.
    pub(super) fn maintain(&mut self, ready: &Ready) {
        self.maintain_control();
        self.notifier.beat();
        if ready.is_idle || self.journal.is_untidy() {
            self.tidy_journal(ready.is_idle);
        }
    }

    /// Return the event that something is due, if that is so and its turn among the requests has come.
    pub(super) fn check_due(&mut self) -> Option<Event> {
        let time = self.clock.read();
        let now = self.state.now(&time);
        let due = self.state.next_due(self.clock.decided_up_to(now), now);
        // A step of the wall clock, and a boot of the machine, are recorded at once.
        let due = self.state.clock.next_reading(&time).map_or(due, |reading| Some(reading.steady));
        let is_due = self.clock.is_due(due, now);
        if !self.inbox.is_turn_of_due(is_due) {
            return None;
        }
        self.clock.advance(now);
        Some(Event::Due)
    }

    /// Whether there is work that waits in this process.
    fn has_work(&self) -> bool {
        !self.inbox.is_empty() || !self.pending_events.is_empty() || self.can_start_next_queued()
    }

    /// Return how long the loop may wait for events.
    fn timeout(&self) -> Duration {
        if self.has_work() {
            return Duration::ZERO;
        }
        let until = |moment: Instant| moment.saturating_duration_since(Instant::now());
        let now = self.state.now(&self.clock.read());
        let due = self.state.next_due(self.clock.last_decided(), now);
        let due = due.map(|due| self.clock.wait_for(due, now));
        let file = self.checklist_file.due().map(until);
        let runs = self.runners.retry_due().map(until);
        let report = self.service_manager.due();
        [due, file, runs, self.housekeeping.due(), report]
            .into_iter()
            .flatten()
            .fold(LONGEST_WAIT, Duration::min)
    }
}
