//! Waiting, and taking in what has come: the first third of the loop.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use zmq::{POLLIN, PollItem};

use super::receive::BATCH;
use super::{Manager, ManagerError};
use crate::net::socket;
use crate::signals::Signals;
use nowcast_core::Event;

/// The longest that the loop waits: the rules may have changed, or somebody may have set the clock.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What ended a wait.
#[derive(Debug)]
pub(super) struct Ready {
    has_signal: bool,
    has_call: bool,
    /// Nothing has come, and nothing waits in this process.
    is_idle: bool,
}

impl Manager {
    /// Wait until something comes or becomes due. Nothing else happens here.
    pub(super) fn wait(&self, signals: &Signals) -> Result<Ready, ManagerError> {
        let mut items = vec![
            self.broker.poll_item(),
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.runs.as_raw_fd(), POLLIN),
        ];
        items.extend(self.control.poll_items());
        let count = socket::poll(&mut items, socket::milliseconds(self.timeout()))?;
        Ok(Ready {
            has_signal: items[1].is_readable(),
            has_call: items[3..].iter().any(PollItem::is_readable),
            is_idle: count == 0 && !self.has_work(),
        })
    }

    /// Look after connections of operators, heartbeats and the journal: work that no event asks for.
    pub(super) fn tend(&mut self, ready: &Ready) {
        self.tidy_control();
        self.notifier.beat();
        if ready.is_idle || self.journal.is_untidy() {
            self.tidy_journal(ready.is_idle);
        }
    }

    /// What has come, as events. Requests come before the ends of runs: a worker ends after its message, and so it
    /// is decided.
    pub(super) fn collect(
        &mut self,
        ready: &Ready,
        signals: &mut Signals,
    ) -> Result<Vec<Event>, ManagerError> {
        let mut events = std::mem::take(&mut self.pending_events);
        events.extend(self.receive()?);
        // Nothing is overdue or silent while the message that it waits for may still be in the socket.
        let may_be_due = events.len() < BATCH && !self.broker.has_deferred();
        let ended = self.runs.ended()?;
        events.extend(ended.into_iter().map(|(run, ending)| Event::RunEnded { run, ending }));
        if ready.has_call {
            events.extend(self.receive_calls());
        }
        if ready.has_signal {
            events.extend(signals.take().into_iter().map(Event::Signal));
        }
        let now = Timestamp::now();
        let due = self.state.next_due(self.clock.decided_up_to(now));
        if may_be_due && self.clock.is_due(due, now) {
            self.clock.advance(now);
            events.push(Event::Due);
        }
        Ok(events)
    }

    /// Whether there is something to do though nothing comes.
    fn has_work(&self) -> bool {
        self.broker.has_deferred() || !self.pending_events.is_empty() || !self.launch_queue.is_empty()
    }

    /// How long the loop may wait for something to come.
    fn timeout(&self) -> Duration {
        if self.has_work() {
            return Duration::ZERO;
        }
        let until = |moment: Instant| moment.saturating_duration_since(Instant::now());
        let now = Timestamp::now();
        let due = self.state.next_due(self.clock.last_decided()).map(|due| self.clock.wait_for(due, now));
        let file = self.checklist_file.due().map(until);
        let runs = self.runs.due().map(until);
        [due, file, runs, self.housekeeping.due()].into_iter().flatten().fold(LONGEST_WAIT, Duration::min)
    }
}
