//! The runs on other hosts among the open ones: who sees to them, and what the log says of them.

use std::fmt::Display;
use std::hash::Hash;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::open_run::{HostContact, OpenRun};
use super::open_runs::{OpenRuns, number};
use super::watch::STARTS_AGAIN;
use nowcast_core::Ending;

/// How often is looked for contacts that were lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl<Key: Copy + Eq + Hash + Display> OpenRuns<Key> {
    /// Has another runner see to a run on another host: only the host can say whether it goes on.
    pub(super) fn start_adopting_runner(&mut self, run: Key, open: &mut OpenRun, died: Option<&Ending>) {
        open.claimed = true;
        if open.stop_requested {
            // The new one reads that there.
            open.folder.note_stop_request();
        }
        if died.is_some() && open.starts > STARTS_AGAIN {
            self.try_later(run, open, &"its runners end at once");
        } else if let Err(error) = self.start_runner(run, open, true) {
            self.try_later(run, open, &error);
        }
    }

    /// The worker of a run has reported how it ended: whoever asks a host that does not answer for it need not any more.
    pub fn reported(&self, run: Key) {
        if let Some(open) = self.open.get(&run)
            && open.contact != HostContact::Local
        {
            open.folder.note_reported();
            // For a runner, SIGHUP is a reason to look.
            self.watched.signal(&run, Signal::HUP);
        }
    }

    /// Says of each run, once, that contact with its host is lost.
    pub(super) fn say_lost_contacts(&mut self, now: Instant) {
        if self.looked_at.is_some_and(|looked_at| now < looked_at + LOOK_AGAIN) {
            return;
        }
        self.looked_at = Some(now);
        for (run, open) in &mut self.open {
            if open.contact != HostContact::Remote {
                continue;
            }
            if let Some(contact) = open.folder.lost_contact() {
                open.contact = HostContact::Lost;
                self.log.critical(format_args!("run {}: {contact}", number(*run)));
            }
        }
    }
}
