//! Commits a batch to the journal, before any effect of it. Then it tells the folders and runners of runs what was committed.
//! It never executes an effect.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use zmq::{POLLIN, PollItem};

use super::{Manager, ManagerError};
use crate::failpoint;
use crate::net::socket;
use crate::signals::Signals;
use crate::store::JournalError;
use nowcast_core::record::RecordedEvent;
use nowcast_core::run::RunReport;
use nowcast_core::{Change, Effect, Event, Record};

/// The interval between attempts to commit.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Split a batch into the records, which are committed first, and the other effects.
pub(super) fn split_off_records(effects: Vec<Effect>) -> (Vec<Record>, Vec<Effect>) {
    let (mut records, mut rest) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Journal(record) => records.push(*record),
            other => rest.push(other),
        }
    }
    (records, rest)
}

impl Manager {
    /// Commit the records of a batch: when this returns `true`, they are on the disk. While that fails, no more is decided, and it is
    /// tried again every second. Return `false` if a signal ended that: then no effect of the batch was executed, and the broker still
    /// has its requests.
    pub(super) fn commit_batch(
        &mut self,
        records: &[Record],
        signals: &mut Signals,
    ) -> Result<bool, ManagerError> {
        self.housekeeping.is_due |= !records.is_empty();
        let Err(error) = self.commit_once(records) else { return Ok(true) };
        if matches!(error, JournalError::Replaced { .. }) {
            return Err(error.into());
        }
        self.report_failure(format!(
            "the journal cannot be written, so nothing is decided or answered until it can; it is tried again every \
             second: {error}"
        ));
        let mut next = Instant::now() + RETRY_INTERVAL;
        loop {
            self.service_manager.keep_alive();
            let mut items = vec![PollItem::from_fd(signals.as_raw_fd(), POLLIN)];
            items.extend(self.control.poll_items());
            let left = next.saturating_duration_since(Instant::now());
            socket::poll(&mut items, socket::milliseconds(left))?;
            self.maintain_control();
            self.control.refuse_all(&format!("nothing is done until the journal can be written: {error}"));
            for signal in signals.take() {
                if signal.ends() {
                    self.log.info(signal.log_text());
                    self.log.critical(
                        "ended with messages that could not be written to the journal; their workers still wait for a reply",
                    );
                    return Ok(false);
                }
                self.pending_events.push(Event::Signal(signal));
            }
            if Instant::now() >= next {
                match self.commit_once(records) {
                    Ok(()) => {
                        self.log.warning("the journal could be written again");
                        return Ok(true);
                    }
                    Err(error @ JournalError::Replaced { .. }) => return Err(error.into()),
                    Err(_) => {}
                }
                next = Instant::now() + RETRY_INTERVAL;
            }
        }
    }

    /// Commit records, or return the error. The claim marks of runs whose end is committed are removed, and the runner of a remote run
    /// whose final report is committed is told.
    fn commit_once(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if records.is_empty() {
            return Ok(());
        }
        failpoint::pass("manager: decided");
        self.journal.commit(records)?;
        failpoint::pass("manager: kept");
        for record in records {
            if let RecordedEvent::RunEnded { run } = record.event {
                self.runners.remove_claim_mark(run);
            }
            for change in &record.changes {
                if let Change::Run(run) = change
                    && run.is_running()
                    && run.report.as_ref().is_some_and(RunReport::is_final)
                {
                    self.runners.tell_remote_runner_reported(run.id);
                }
            }
        }
        Ok(())
    }
}
