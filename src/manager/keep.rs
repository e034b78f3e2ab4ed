//! Keeping: a batch is in the journal before anything of it is done, and the journal is kept small.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use zmq::{POLLIN, PollItem};

use super::{Manager, ManagerError};
use crate::launch::old_runs;
use crate::net::socket;
use crate::signals::Signals;
use crate::store::JournalError;
use nowcast_core::{Event, Record};
use std::os::fd::AsRawFd;

/// How long after a batch could not be kept it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long nothing must have come for the house to be kept.
const IDLE: Duration = Duration::from_millis(200);

/// How often what is too old is looked for.
const PRUNE: Duration = Duration::from_secs(3_600);

/// What is to be done when nothing else is.
#[derive(Debug, Default)]
pub(super) struct Housekeeping {
    is_due: bool,
    pruned: Option<Instant>,
}

impl Housekeeping {
    /// How long the loop may wait before the house is kept.
    pub(super) fn due(&self) -> Option<Duration> {
        self.is_due.then_some(IDLE)
    }

    /// Before which moment the journal is to be pruned now, if it is: never while there is something else to do.
    fn prune_before(&self, keep: Option<SignedDuration>, is_idle: bool, now: Timestamp) -> Option<Timestamp> {
        let is_due = self.pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE);
        keep.filter(|_| is_due && is_idle).and_then(|keep| now.checked_sub(keep).ok())
    }
}

impl Manager {
    /// Keeps a batch's records. While that fails nothing more is decided: it is tried again every
    /// second. `false` if a signal ended that; nothing of the batch was done then, and the broker
    /// still has its requests.
    pub(super) fn keep(&mut self, records: &[Record], signals: &mut Signals) -> Result<bool, ManagerError> {
        self.housekeeping.is_due |= !records.is_empty();
        let Err(error) = self.performer.keep(records) else { return Ok(true) };
        if matches!(error, JournalError::Replaced { .. }) {
            return Err(error.into());
        }
        self.trouble(format!(
            "the journal cannot be written, so nothing is decided or answered until it can; it is tried again every \
             second: {error}"
        ));
        let mut next = Instant::now() + RETRY;
        loop {
            let mut items = vec![PollItem::from_fd(signals.as_raw_fd(), POLLIN)];
            items.extend(self.performer.control.poll_items());
            let left = next.saturating_duration_since(Instant::now());
            socket::poll(&mut items, socket::milliseconds(left))?;
            self.tidy_control();
            self.performer
                .control
                .refuse_all(&format!("nothing is done until the journal can be written: {error}"));
            for signal in signals.take() {
                if signal.ends() {
                    self.log.info(signal.log_text());
                    self.log.critical(
                        "ended with messages that could not be kept; their workers still wait for a reply",
                    );
                    return Ok(false);
                }
                self.first.push(Event::Signal(signal));
            }
            if Instant::now() >= next {
                match self.performer.keep(records) {
                    Ok(()) => {
                        self.log.warning("the journal could be written again");
                        return Ok(true);
                    }
                    Err(error @ JournalError::Replaced { .. }) => return Err(error.into()),
                    Err(_) => {}
                }
                next = Instant::now() + RETRY;
            }
        }
    }

    /// Keeps the journal small: all of it when nothing else is to be done, and what a start hangs on at any time.
    pub(super) fn keep_house(&mut self, is_idle: bool) {
        if !self.housekeeping.is_due {
            return;
        }
        let keep = self.performer.config.journal.keep;
        let before = self.housekeeping.prune_before(keep, is_idle, Timestamp::now());
        let checklist = self.state.checklist.to_value();
        match self.performer.journal.tidy(&checklist, before) {
            Ok(true) => {}
            // The rest is done when there is time.
            Ok(false) if !is_idle => {}
            Ok(false) => {
                self.housekeeping.is_due = false;
                if let Some(before) = before {
                    self.housekeeping.pruned = Some(Instant::now());
                    self.remove_old_runs(before);
                }
            }
            Err(error) => {
                self.housekeeping.is_due = false;
                self.log.error(format_args!("the journal could not be tidied: {error}"));
            }
        }
    }

    /// Removes the folders of runs that are older than the journal, beside the loop: there may be thousands.
    fn remove_old_runs(&self, before: Timestamp) {
        // A day more, whatever the time zone that the folder was named in.
        let Ok(before) = before.checked_sub(SignedDuration::from_hours(48)) else { return };
        let date = before.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let open: Vec<String> =
            self.state.runs.values().filter_map(nowcast_core::Run::folder).map(str::to_owned).collect();
        let (root, log) = (self.performer.runs.root().to_owned(), self.log.clone());
        let remove = move || {
            for error in old_runs::remove_before(&root, date, &open) {
                log.error(format_args!("the folder of an old run cannot be removed: {error}"));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("old runs".to_owned()).spawn(remove) {
            self.log.error(format_args!("the folders of old runs are not removed: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_pruned_in_idle_moments_once_an_hour_if_the_configuration_says_so() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let keep = Some(SignedDuration::from_secs(400_000));
        let before = Timestamp::from_second(600_000).unwrap();
        let mut housekeeping = Housekeeping { is_due: true, pruned: None };
        assert_eq!(housekeeping.prune_before(keep, true, now), Some(before));
        assert_eq!(housekeeping.prune_before(keep, false, now), None, "something else is to be done");
        assert_eq!(housekeeping.prune_before(None, true, now), None, "everything is kept");
        housekeeping.pruned = Some(Instant::now());
        assert_eq!(housekeeping.prune_before(keep, true, now), None, "it was done just now");
    }
}
