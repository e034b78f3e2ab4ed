//! [`Runs`]: the open runs, with an index for each stage, so that a query does not examine all of them.

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
    pub fn awaiting_report(&self) -> impl Iterator<Item = &Run> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NextWorker;

    fn pending(id: u64, worker: &str, due: i64) -> Run {
        Run {
            id: Number(id),
            worker: NextWorker::new(worker, Vec::new()),
            cause: Number(1),
            attempt: 1,
            retry_of: None,
            stage: Stage::Pending { due: moment(due) },
            report: None,
            stop_requested: None,
        }
    }

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn queues(runs: &Runs, now: i64) -> Vec<Vec<u64>> {
        let queues = runs.queues(moment(now)).map(|queue| queue.map(|(_, run)| run.id.0).collect::<Vec<_>>());
        queues.filter(|queue| !queue.is_empty()).collect()
    }

    #[test]
    fn due_runs_are_queued_by_worker_and_in_the_order_of_their_due_times() {
        let mut runs = Runs::default();
        for (id, worker, due) in [(5, "rivers", 20), (6, "rivers", 10), (7, "ssh", 10), (8, "rivers", 10)] {
            runs.put(pending(id, worker, due));
        }
        assert!(queues(&runs, 9).is_empty());
        assert_eq!(queues(&runs, 10), [vec![6, 8], vec![7]]);
        assert_eq!(queues(&runs, 20), [vec![6, 8, 5], vec![7]]);
        assert_eq!(runs.next_due(moment(9)), Some(moment(10)));
        assert_eq!(runs.next_due(moment(10)), Some(moment(20)));
        assert_eq!(runs.next_due(moment(20)), None);
    }

    #[test]
    fn a_run_is_in_the_index_of_its_stage_only() {
        let mut runs = Runs::default();
        let mut run = pending(5, "rivers", 10);
        runs.put(run.clone());
        run.stage = Stage::Launched { at: moment(10), folder: String::new() };
        runs.put(run.clone());
        assert!(queues(&runs, 20).is_empty());
        assert_eq!(runs.running().chain(runs.begun("rivers")).count(), 2);
        let ending = crate::Ending::Status(0);
        run.stage = Stage::Ended { launched: None, at: moment(11), ending, folder: String::new() };
        runs.put(run);
        assert_eq!(
            (runs.running().count(), runs.awaiting_report().count(), runs.begun("rivers").count()),
            (0, 1, 1)
        );
        runs.remove(Number(5));
        assert_eq!(runs, Runs::default(), "nothing is left in any index");
    }
}
