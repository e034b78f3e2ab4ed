//! The remote runs among the open ones: what their runners are told, and what the log says of lost contact.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::launched_run::HostContact;
use super::launched_runs::LaunchedRuns;
use nowcast_core::RunId;

/// The pause between two checks for lost contact.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl LaunchedRuns {
    /// Note that the worker of a run has reported how it ended. If contact with its host is lost and the host does not
    /// answer, the runner stops asking.
    pub fn tell_remote_runner_reported(&self, run: RunId) {
        if let Some(launched) = self.open.get(&run)
            && launched.contact != HostContact::Local
        {
            launched.folder.note_reported();
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
        for (run, launched) in &mut self.open {
            if launched.contact != HostContact::Remote {
                continue;
            }
            if let Some(contact) = launched.folder.lost_contact() {
                launched.contact = HostContact::Lost;
                self.log.critical(format_args!("run {}: {contact}", run.0));
            }
        }
    }
}
