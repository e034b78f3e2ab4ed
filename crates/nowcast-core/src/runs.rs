//! [`Runs`]: the open runs, with an index for each stage, so that ten thousand cost no more than ten.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Deref};

use jiff::Timestamp;

use crate::run::{Number, Run, RunId, Stage};

/// The open runs. For readers it is a map, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    open: BTreeMap<RunId, Run>,
    /// Pending runs, by worker and host, in the order of their due times.
    pending: BTreeMap<(String, String), BTreeSet<(Timestamp, RunId)>>,
    running: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
    /// Launched and ended runs, by worker.
    begun: BTreeMap<String, BTreeSet<RunId>>,
}

impl Deref for Runs {
    type Target = BTreeMap<RunId, Run>;

    fn deref(&self) -> &Self::Target {
        &self.open
    }
}

impl Runs {
    /// Return the launched runs, oldest first.
    pub fn running(&self) -> impl Iterator<Item = &Run> {
        self.running.iter().filter_map(|id| self.open.get(id))
    }

    /// Return the ended runs without a report, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = &Run> {
        self.ended.iter().filter_map(|id| self.open.get(id))
    }

    /// Return the launched and ended runs of a worker, oldest first.
    pub fn begun(&self, worker: &str) -> impl Iterator<Item = &Run> {
        self.begun.get(worker).into_iter().flatten().filter_map(|id| self.open.get(id))
    }

    /// Return the pending runs that are due, one queue for each worker and host, in the order of their launch.
    pub(super) fn queues(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = impl Iterator<Item = (Timestamp, &Run)>> {
        let run = |(due, id): &(Timestamp, RunId)| Some((*due, self.open.get(id)?));
        self.pending.values().map(move |queue| queue.range(..=(now, Number(u64::MAX))).filter_map(run))
    }

    /// Return the first due time of pending runs after a moment.
    pub(super) fn next_due(&self, after: Timestamp) -> Option<Timestamp> {
        let from = (Bound::Excluded((after, Number(u64::MAX))), Bound::Unbounded);
        self.pending.values().filter_map(|queue| queue.range(from).next()).map(|(due, _)| *due).min()
    }

    pub(super) fn put(&mut self, run: Run) {
        self.remove(run.id);
        match &run.stage {
            Stage::Pending { due } => {
                self.pending.entry(queue_of(&run)).or_default().insert((*due, run.id));
            }
            Stage::Launched { .. } => {
                self.running.insert(run.id);
            }
            Stage::Ended { .. } => {
                self.ended.insert(run.id);
            }
        }
        if !matches!(run.stage, Stage::Pending { .. }) {
            self.begun.entry(run.worker.name().to_owned()).or_default().insert(run.id);
        }
        self.open.insert(run.id, run);
    }

    pub(super) fn remove(&mut self, id: RunId) {
        let Some(run) = self.open.remove(&id) else { return };
        if let Stage::Pending { due } = run.stage {
            remove(&mut self.pending, &queue_of(&run), &(due, id));
        }
        self.running.remove(&id);
        self.ended.remove(&id);
        remove(&mut self.begun, run.worker.name(), &id);
    }
}

fn queue_of(run: &Run) -> (String, String) {
    (run.worker.name().to_owned(), run.worker.host.clone())
}

/// Remove a value from one of several sets, and the set if it is then empty.
fn remove<K, Q, V>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &Q, value: &V)
where
    K: Ord + Borrow<Q>,
    Q: Ord + ?Sized,
    V: Ord,
{
    if let Some(set) = sets.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
