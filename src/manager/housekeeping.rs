//! Prunes the journal and the folders of runs while the manager is idle. It never delays a message.

use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::Manager;
use crate::launch::old_runs;
use nowcast_core::{Number, Steady};

/// The time without an event after which the journal is tidied.
const IDLE_TIME: Duration = Duration::from_millis(200);

/// The interval between prunes of the journal.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);

/// Work for idle moments.
#[derive(Debug, Default)]
pub(super) struct Housekeeping {
    pub(super) is_due: bool,
    pruned: Option<Instant>,
}

impl Housekeeping {
    /// Return how long the loop may wait before the journal is tidied.
    pub(super) fn due(&self) -> Option<Duration> {
        self.is_due.then_some(IDLE_TIME)
    }

    /// Return the point of steady time before which entries are to be pruned, if pruning is due. It is never due while there is
    /// other work.
    fn prune_before(
        &self,
        keep: Option<SignedDuration>,
        is_idle: bool,
        (now, monotonic): (Steady, Instant),
    ) -> Option<Steady> {
        let is_due = self.pruned.is_none_or(|pruned| monotonic.duration_since(pruned) >= PRUNE_INTERVAL);
        keep.filter(|_| is_due && is_idle).and_then(|keep| now.checked_after(-keep))
    }
}

impl Manager {
    /// Tidy the journal: completely while the manager is idle, else only as far as the time of the next start needs it.
    pub(super) fn tidy_journal(&mut self, is_idle: bool) {
        if !self.housekeeping.is_due {
            return;
        }
        let keep = self.config.journal.keep;
        let now = self.state.now(&self.clock.read()).steady;
        let before = self.housekeeping.prune_before(keep, is_idle, (now, Instant::now()));
        let checklist = self.state.checklist.to_value();
        match self.journal.tidy(&checklist, &self.state.cycles, before) {
            Ok(true) => {}
            // The rest is done while the manager is idle.
            Ok(false) if !is_idle => {}
            Ok(false) => {
                self.housekeeping.is_due = false;
                self.journal.release_memory();
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

    /// Remove the folders of runs that were removed from the journal, in a thread: there may be thousands.
    fn remove_old_runs(&self, before: Steady) {
        let gone = match self.journal.runs_removed(before) {
            Ok(gone) => gone,
            Err(error) => {
                return self.log.error(format_args!("the folders of old runs are not removed: {error}"));
            }
        };
        let (root, log) = (self.runners.root().to_owned(), self.log.clone());
        let remove = move || {
            for error in old_runs::remove(&root, |number| gone.contains(Number(number))) {
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
        let at = |second| Steady(jiff::Timestamp::from_second(second).unwrap());
        let now = at(1_000_000);
        let keep = Some(SignedDuration::from_secs(400_000));
        let before = at(600_000);
        let start = Instant::now();
        let mut housekeeping = Housekeeping { is_due: true, pruned: None };
        assert_eq!(housekeeping.prune_before(keep, true, (now, start)), Some(before));
        assert_eq!(housekeeping.prune_before(keep, false, (now, start)), None, "there is other work");
        assert_eq!(housekeeping.prune_before(None, true, (now, start)), None, "every entry is kept");
        housekeeping.pruned = Some(start);
        let hour = Duration::from_secs(3_600);
        let almost = start + hour.saturating_sub(Duration::from_nanos(1));
        assert_eq!(housekeeping.prune_before(keep, true, (now, start)), None);
        assert_eq!(housekeeping.prune_before(keep, true, (now, almost)), None);
        assert_eq!(housekeeping.prune_before(keep, true, (now, start + hour)), Some(before));
    }
}
