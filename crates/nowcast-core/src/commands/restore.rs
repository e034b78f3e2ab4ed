//! The first event after a journal was restored from a backup: nothing that the backup shows as running or pending may begin
//! by itself, since it may have happened after the backup was made.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::counted::counted;
use crate::decide::Decision;
use crate::hold::{Hold, HoldTarget};
use crate::parked::{Parked, ParkedItem};
use crate::record::Change;
use crate::requested_launch::RequestedLaunch;
use crate::run::{Number, Run, RunId, Stage};

impl Decision<'_> {
    /// Set pending launches aside, keep runs from being started, and hold later launches. Return the answer. With `is_latest` only
    /// what was launched since for certain is set aside, and nothing is held.
    pub(super) fn restore(
        &mut self,
        user: &str,
        file: &str,
        is_latest: bool,
        launched_since: &[RunId],
    ) -> (String, Vec<Number>) {
        // By this the journal is newer than any checklist file.
        self.change(Change::ChecklistReplaced { checklist: self.state.checklist.to_value() });
        let running: Vec<Run> = self.state.runs.running().cloned().collect();
        for run in &running {
            self.change(Change::Run(Arc::new(Run { is_restored: true, ..run.clone() })));
        }
        let is_uncertain = |run: &Run| !is_latest || launched_since.contains(&run.id);
        let is_pending = |run: &&Run| matches!(run.stage, Stage::Pending { .. }) && is_uncertain(run);
        let pending: Vec<Run> = self.state.runs.values().filter(is_pending).cloned().collect();
        let mut parts = vec![
            counted(running.len(), "run was running", "runs were running"),
            counted(pending.len(), "pending launch is parked", "pending launches are parked"),
        ];
        let mut numbers = self.park_pending(pending, launched_since);
        if !is_latest {
            let hold = self.hold_restored(user, file);
            parts.push(format!("launches are held: nowcast release {} ends that", hold.0));
            numbers.push(hold);
        }
        (format!("the journal was restored from {file}; {}", parts.join(", ")), numbers)
    }

    /// Discard pending runs and park their launches, those of each worker together. A released launch gets a number of its own, since a
    /// run with the previous one may exist.
    fn park_pending(&mut self, pending: Vec<Run>, launched_since: &[RunId]) -> Vec<Number> {
        let mut parked: BTreeMap<(String, &str), Vec<RequestedLaunch>> = BTreeMap::new();
        for run in pending {
            let reason = if launched_since.contains(&run.id) {
                "was launched after the backup from which the journal was restored"
            } else {
                "pending in the backup from which the journal was restored, and perhaps launched since"
            };
            let (worker, cycle) = (run.worker.clone(), run.cycle.clone());
            let launch = RequestedLaunch { worker, cycle, cause: run.cause, join: run.join };
            parked.entry((run.worker.name().to_owned(), reason)).or_default().push(launch);
            self.discard_run(run);
        }
        let park = |((_, reason), launches): ((String, &str), _)| {
            let (id, at) = (self.next_number(), self.time.wall.clone());
            let item = ParkedItem::Launches { join: None, launches };
            self.change(Change::Parked(Parked { id, at, reason: reason.to_owned(), item }));
            id
        };
        parked.into_iter().map(park).collect()
    }

    fn hold_restored(&mut self, user: &str, file: &str) -> Number {
        let id = self.next_number();
        let (user, reason) = (user.to_owned(), Some(format!("restored from {file}")));
        self.change(Change::Hold(Hold {
            id,
            target: HoldTarget::Restored,
            until: None,
            ends: None,
            reason,
            user,
        }));
        id
    }
}
