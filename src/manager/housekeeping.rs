//! Prunes the journal and the folders of runs while the manager is idle. It never delays a message.

use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::Manager;
use crate::launch::old_runs;
use crate::store::journal::{self, AgeLimits, RemovedEntries};
use nowcast_core::Number;
use nowcast_core::counted::{counted, size};

/// The time without an event after which the journal is tidied.
const IDLE_TIME: Duration = Duration::from_millis(200);

/// The interval between prunes of the journal.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);

/// Work for idle moments.
#[derive(Debug, Default)]
pub(super) struct Housekeeping {
    pub(super) is_due: bool,
    pruned: Option<Instant>,
    /// An operator's ages of entries and outputs, for the next time.
    ages: Option<(Option<SignedDuration>, Option<SignedDuration>)>,
}

impl Housekeeping {
    /// Return how long the loop may wait before the journal is tidied.
    pub(super) fn due(&self) -> Option<Duration> {
        self.is_due.then_some(IDLE_TIME)
    }

    /// Prune at the next idle moment by an operator's ages of entries and outputs.
    pub(super) fn prune_now(&mut self, keep: Option<SignedDuration>, keep_outputs: Option<SignedDuration>) {
        (self.is_due, self.pruned, self.ages) = (true, None, Some((keep, keep_outputs)));
    }

    /// Return whether pruning is due. It never is while there is other work.
    fn is_prune_due(&self, is_idle: bool, now: Instant) -> bool {
        is_idle && self.pruned.is_none_or(|pruned| now.duration_since(pruned) >= PRUNE_INTERVAL)
    }
}

impl Manager {
    /// Tidy the journal: completely while the manager is idle, else only as far as the time of the next start needs it.
    pub(super) fn tidy_journal(&mut self, is_idle: bool) {
        if !self.housekeeping.is_due {
            return;
        }
        let is_prune_due = self.housekeeping.is_prune_due(is_idle, Instant::now());
        let limits = if is_prune_due { self.age_limits() } else { AgeLimits::default() };
        let checklist = self.state.checklist.to_value();
        match self.journal.tidy(&checklist, &self.state.cycles, limits.entries) {
            Ok(true) => {}
            // The rest is done while the manager is idle.
            Ok(false) if !is_idle => {}
            Ok(false) => {
                self.housekeeping.is_due = false;
                self.journal.release_memory();
                if is_prune_due {
                    (self.housekeeping.pruned, self.housekeeping.ages) = (Some(Instant::now()), None);
                    self.report_pruned();
                    self.remove_old_versions();
                    self.remove_old_outputs(&limits);
                }
            }
            Err(error) => {
                self.housekeeping.is_due = false;
                self.log.error(format_args!("the journal could not be tidied: {error}"));
            }
        }
    }

    fn age_limits(&self) -> AgeLimits {
        let now = self.state.now(&self.clock.read()).steady;
        let mut settings = self.config.journal.clone();
        if let Some((keep, keep_outputs)) = self.housekeeping.ages {
            (settings.keep, settings.keep_outputs) = (keep, keep_outputs);
        }
        AgeLimits::at(now, &settings)
    }

    fn report_pruned(&mut self) {
        let RemovedEntries { events, runs, bytes } = self.journal.take_removed();
        if events > 0 || runs > 0 {
            self.log.info(format_args!(
                "removed from the journal: {} and {}, older than it keeps; {} of its file are free for later entries",
                counted(events as u64, "event", "events"),
                counted(runs as u64, "run", "runs"),
                size(bytes)
            ));
        }
    }

    fn remove_old_versions(&self) {
        for (copy, bytes) in journal::remove_old_versions(&self.config.journal.folder) {
            self.log.info(format_args!(
                "removed {}, the journal from before an upgrade: {} are free",
                copy.display(),
                size(bytes)
            ));
        }
    }

    /// Remove the folders of old runs in a thread: there may be thousands.
    fn remove_old_outputs(&self, limits: &AgeLimits) {
        let Some(before) = limits.outputs else { return };
        let old = match self.journal.old_outputs(before) {
            Ok(old) => old,
            Err(error) => {
                return self.log.error(format_args!("the outputs of old runs are not removed: {error}"));
            }
        };
        let (root, log) = (self.runners.root().to_owned(), self.log.clone());
        let remove = move || {
            let removed = old_runs::remove(&root, |number| old.contains(Number(number)));
            for error in removed.errors {
                log.error(format_args!("the output of an old run cannot be removed: {error}"));
            }
            if removed.count > 0 {
                log.info(format_args!(
                    "removed the outputs of {}, older than the journal keeps: {} are free",
                    counted(removed.count as u64, "run", "runs"),
                    size(removed.bytes)
                ));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("old outputs".to_owned()).spawn(remove) {
            self.log.error(format_args!("the outputs of old runs are not removed: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_pruned_in_idle_moments_once_an_hour() {
        let start = Instant::now();
        let mut housekeeping = Housekeeping { is_due: true, pruned: None, ages: None };
        assert!(housekeeping.is_prune_due(true, start));
        assert!(!housekeeping.is_prune_due(false, start), "there is other work");
        housekeeping.pruned = Some(start);
        let almost = start + PRUNE_INTERVAL.saturating_sub(Duration::from_nanos(1));
        assert!(!housekeeping.is_prune_due(true, almost));
        assert!(housekeeping.is_prune_due(true, start + PRUNE_INTERVAL));
    }
}
