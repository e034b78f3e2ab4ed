//! [`Runs`]: the open runs, with an index for each stage, so that a query does not examine all of them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Index};
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::{Now, Steady, TimePoint};
use crate::cycle::Cycle;
use crate::run::{Number, Run, RunId, Stage};

/// The open runs. A run is shared with the record that changed it, and with copies of the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    open: BTreeMap<RunId, Arc<Run>>,
    /// Pending runs, by queue.
    pending: BTreeMap<QueueKey, PendingQueue>,
    running: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
    /// Launched and ended runs, by worker.
    begun: BTreeMap<String, BTreeSet<RunId>>,
}

/// The pending runs of a queue, in the order of their due times: in steady time, or by the wall clock if the queue follows that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct PendingQueue {
    all: BTreeSet<QueuePlace>,
    by_cycle: BTreeMap<Option<Cycle>, BTreeSet<QueuePlace>>,
}

/// When a run is due, and its number.
type QueuePlace = (Timestamp, RunId);

/// The pending runs of a queue that are due, in the order of their launch.
#[derive(Clone, Copy)]
pub(super) struct DueQueue<'a> {
    runs: &'a Runs,
    queue: &'a PendingQueue,
    now: Now,
    /// The last place that is due.
    last: QueuePlace,
}

impl<'a> DueQueue<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = (Steady, &'a Run)> {
        self.of_places(&self.queue.all)
    }

    /// Return those of a cycle, or of none.
    pub(super) fn of_cycle(self, cycle: Option<&Cycle>) -> impl Iterator<Item = (Steady, &'a Run)> {
        let places = self.queue.by_cycle.get(&cycle.cloned());
        places.into_iter().flat_map(move |places| self.of_places(places))
    }

    fn of_places(self, places: &'a BTreeSet<QueuePlace>) -> impl Iterator<Item = (Steady, &'a Run)> {
        places.range(..=self.last).filter_map(move |(_, id)| {
            let run = self.runs.get(id)?;
            Some((run.due(self.now)?, run))
        })
    }
}

/// The worker and the host of the runs in a queue, and whether they have an `at`, so that they follow the wall clock.
type QueueKey = (String, String, bool);

impl Index<&RunId> for Runs {
    type Output = Run;

    fn index(&self, id: &RunId) -> &Run {
        &self.open[id]
    }
}

impl Runs {
    /// Return an open run.
    #[must_use]
    pub fn get(&self, id: &RunId) -> Option<&Run> {
        self.open.get(id).map(|run| &**run)
    }

    /// Return an open run without a copy.
    pub(super) fn shared(&self, id: RunId) -> Option<Arc<Run>> {
        self.open.get(&id).cloned()
    }

    /// Return the open runs, oldest first.
    #[must_use]
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.open.values().map(|run| &**run)
    }

    /// Return their numbers, in order.
    pub fn keys(&self) -> impl Iterator<Item = &RunId> {
        self.open.keys()
    }

    /// Return whether a run is open.
    #[must_use]
    pub fn contains_key(&self, id: &RunId) -> bool {
        self.open.contains_key(id)
    }

    /// Return how many runs are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Return whether no run is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Return the launched runs, oldest first.
    pub fn running(&self) -> impl Iterator<Item = &Run> {
        self.running.iter().filter_map(|id| self.get(id))
    }

    /// Return the ended runs without a report, oldest first.
    pub fn awaiting_report(&self) -> impl Iterator<Item = &Run> {
        self.ended.iter().filter_map(|id| self.get(id))
    }

    /// Return the launched and ended runs of a worker, oldest first.
    pub fn begun(&self, worker: &str) -> impl Iterator<Item = &Run> {
        self.begun.get(worker).into_iter().flatten().filter_map(|id| self.get(id))
    }

    /// Return the pending runs that are due, one or two queues for each worker and host, in the order of their launch.
    pub(super) fn due_queues(&self, now: Now) -> impl Iterator<Item = DueQueue<'_>> {
        self.pending.iter().map(move |(key, queue)| {
            let last = (time_of(key, now.time), Number(u64::MAX));
            DueQueue { runs: self, queue, now, last }
        })
    }

    /// Return the first due time of pending runs that were not due at an earlier moment.
    pub(super) fn next_due(&self, earlier: TimePoint, now: Now) -> Option<Steady> {
        let first = |(key, queue): (&QueueKey, &PendingQueue)| {
            let from = (Bound::Excluded((time_of(key, earlier), Number(u64::MAX))), Bound::Unbounded);
            let (_, id) = queue.all.range(from).next()?;
            self.open.get(id)?.due(now)
        };
        self.pending.iter().filter_map(first).min()
    }

    pub(super) fn put(&mut self, run: Arc<Run>) {
        self.remove(run.id);
        match &run.stage {
            Stage::Pending { due, at } => {
                let place = (at.unwrap_or(due.0), run.id);
                let queue = self.pending.entry(queue_of(&run, *at)).or_default();
                queue.all.insert(place);
                queue.by_cycle.entry(run.cycle.clone()).or_default().insert(place);
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
        if let Stage::Pending { due, at } = run.stage {
            let key = queue_of(&run, at);
            let place = (at.unwrap_or(due.0), id);
            if let Some(queue) = self.pending.get_mut(&key) {
                queue.all.remove(&place);
                remove_from_set(&mut queue.by_cycle, &run.cycle, &place);
                if queue.all.is_empty() {
                    self.pending.remove(&key);
                }
            }
        }
        self.running.remove(&id);
        self.ended.remove(&id);
        remove_from_set(&mut self.begun, run.worker.name(), &id);
    }
}

fn queue_of(run: &Run, at: Option<Timestamp>) -> QueueKey {
    (run.worker.name().to_owned(), run.worker.host.clone(), at.is_some())
}

/// Return a moment as the due times in a queue have it.
fn time_of((_, _, follows_wall_clock): &QueueKey, time: TimePoint) -> Timestamp {
    if *follows_wall_clock { time.wall } else { time.steady.0 }
}

/// Remove a value from one of several sets, and the set if it is then empty.
pub(super) fn remove_from_set<K, Q, V>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &Q, value: &V)
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
            cycle: None,
            cause: Number(1),
            join: None,
            origin: None,
            attempt: 1,
            retry_of: None,
            stage: Stage::Pending { due: moment(due).steady, at: None },
            report: None,
            sent: Vec::new(),
            stop_requested: None,
            is_restored: false,
        }
    }

    fn moment(second: i64) -> Now {
        Now::by_wall_clock(Timestamp::from_second(second).unwrap())
    }

    /// The pending runs that are due, by queue.
    fn due_queues(runs: &Runs, now: i64) -> Vec<Vec<u64>> {
        queues_at(runs, moment(now))
    }

    fn queues_at(runs: &Runs, now: Now) -> Vec<Vec<u64>> {
        let queues =
            runs.due_queues(now).map(|queue| queue.iter().map(|(_, run)| run.id.0).collect::<Vec<_>>());
        queues.filter(|queue| !queue.is_empty()).collect()
    }

    #[test]
    fn due_runs_are_queued_by_worker_and_in_the_order_of_their_due_times() {
        let mut runs = Runs::default();
        for (id, worker, due) in [(5, "rivers", 20), (6, "rivers", 10), (7, "ssh", 10), (8, "rivers", 10)] {
            runs.put(Arc::new(pending(id, worker, due)));
        }
        assert!(due_queues(&runs, 9).is_empty());
        assert_eq!(due_queues(&runs, 10), [vec![6, 8], vec![7]]);
        assert_eq!(due_queues(&runs, 20), [vec![6, 8, 5], vec![7]]);
        for (earlier, next) in [(9, Some(10)), (10, Some(20)), (20, None)] {
            let next = next.map(|next| moment(next).steady);
            assert_eq!(runs.next_due(moment(earlier).time, moment(earlier)), next);
        }
    }

    #[test]
    fn a_launch_at_a_time_follows_the_wall_clock_and_a_delayed_one_does_not() {
        let mut runs = Runs::default();
        runs.put(Arc::new(pending(5, "rivers", 20)));
        let mut at = pending(6, "rivers", 20);
        at.stage = Stage::Pending { due: moment(20).steady, at: Some(moment(20).wall) };
        runs.put(Arc::new(at));
        // The wall clock was set back by 15 s.
        let late = Now::at(moment(5).wall, moment(20).steady);
        assert_eq!(queues_at(&runs, late), [vec![5]]);
        assert_eq!(runs.next_due(late.time, late), Some(moment(35).steady));
        // The wall clock was set forward by 15 s.
        let early = Now::at(moment(25).wall, moment(10).steady);
        assert_eq!(queues_at(&runs, early), [vec![6]]);
        assert_eq!(runs.next_due(early.time, early), Some(moment(20).steady));
        runs.remove(Number(6));
        runs.remove(Number(5));
        assert_eq!(runs, Runs::default(), "nothing is left in any index");
    }

    #[test]
    fn a_run_is_in_the_index_of_its_stage_only() {
        let mut runs = Runs::default();
        let mut run = pending(5, "rivers", 10);
        runs.put(Arc::new(run.clone()));
        run.stage = Stage::Launched { at: moment(10).time, folder: String::new() };
        runs.put(Arc::new(run.clone()));
        assert!(due_queues(&runs, 20).is_empty());
        assert_eq!(runs.running().chain(runs.begun("rivers")).count(), 2);
        let ending = crate::Ending::Status(0);
        run.stage = Stage::Ended {
            launched: None,
            exited: None,
            at: moment(11).time,
            ran: None,
            ending,
            folder: String::new(),
        };
        runs.put(Arc::new(run));
        assert_eq!(
            (runs.running().count(), runs.awaiting_report().count(), runs.begun("rivers").count()),
            (0, 1, 1)
        );
        runs.remove(Number(5));
        assert_eq!(runs, Runs::default(), "nothing is left in any index");
    }
}
