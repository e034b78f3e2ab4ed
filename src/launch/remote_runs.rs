//! The remote runs among the open ones: their adoption by another runner, and what the log says of lost contact.

use std::fmt::Display;
use std::hash::Hash;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::launched_run::{HostContact, LaunchedRun};
use super::launched_runs::{LaunchedRuns, run_number};
use super::watch::MAX_RESTARTS;
use nowcast_core::Ending;

/// The pause between two checks for lost contact.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl<Key: Copy + Eq + Hash + Display> LaunchedRuns<Key> {
    /// Have another runner adopt a run whose runner has died: a remote run, since only the host can say whether it goes on,
    /// or one whose program has ended, so that its report is made.
    pub(super) fn start_adopting_runner(
        &mut self,
        run: Key,
        open: &mut LaunchedRun,
        runner_exit: Option<&Ending>,
    ) {
        open.claim_seen = true;
        if open.stop_requested {
            // The new runner reads it from the folder.
            open.folder.note_stop_request();
        }
        if runner_exit.is_some() && open.starts > MAX_RESTARTS {
            self.retry_later(run, open, &"its runners exit at once");
        } else if let Err(error) = self.start_runner(run, open, true) {
            self.retry_later(run, open, &error);
        }
    }

    /// Note that the worker of a run has reported how it ended. If contact with its host is lost and the host does not
    /// answer, the runner stops asking.
    pub fn note_reported(&self, run: Key) {
        if let Some(open) = self.open.get(&run)
            && open.contact != HostContact::Local
        {
            open.folder.note_reported();
            // A runner reads its folder again on SIGHUP.
            self.processes.signal(&run, Signal::HUP);
        }
    }

    /// Log once for each run that contact with its host is lost.
    pub(super) fn log_lost_contacts(&mut self, now: Instant) {
        if self.contacts_checked.is_some_and(|checked| now < checked + CHECK_INTERVAL) {
            return;
        }
        self.contacts_checked = Some(now);
        for (run, open) in &mut self.open {
            if open.contact != HostContact::Remote {
                continue;
            }
            if let Some(contact) = open.folder.lost_contact() {
                open.contact = HostContact::Lost;
                self.log.critical(format_args!("run {}: {contact}", run_number(*run)));
            }
        }
    }
}
