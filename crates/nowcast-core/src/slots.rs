//! Limits on cycles: `max cycles` of a worker, and `max active` of the system.
//!
//! A cycle takes a slot when a worker is launched in it, and keeps it until it is done, cancelled or skipped. Runs without a cycle are
//! not limited, and neither are those of a cycle that has a mark.

use std::collections::BTreeSet;

use crate::clock::Steady;
use crate::cycle::Cycle;
use crate::run::Run;
use crate::runs::DueQueue;
use crate::state::State;

/// Cycles that an answer names: more make a text too long to read.
const NAMED: usize = 5;

impl State {
    /// Return the limit that keeps a worker from being launched in a cycle, as text after "blocked by".
    pub(super) fn cycle_limit(&self, worker: &str, cycle: &Cycle) -> Option<String> {
        if self.cycles.get(cycle).is_some_and(|kept| kept.mark.is_some()) {
            return None;
        }
        let slots = self.activity.slots_of(worker).unwrap_or(&NO_CYCLES);
        if let Some(limit) = self.max_cycles(worker).filter(|limit| is_taken(slots, cycle, *limit)) {
            return Some(format!("`max cycles: {limit}` of {worker} ({})", named(slots)));
        }
        let active = self.activity.active();
        let limit = self.max_active().filter(|limit| is_taken(active, cycle, *limit))?;
        Some(format!("`cycles: max active: {limit}` ({})", named(active)))
    }

    /// Return the runs of a queue that a limit on cycles may admit, in the order of their launch. Of thousands of cycles that wait for a
    /// slot only the first are examined.
    pub(super) fn admitted<'a>(
        &'a self,
        queue: DueQueue<'a>,
    ) -> Box<dyn Iterator<Item = (Steady, &'a Run)> + 'a> {
        let Some((_, first)) = queue.iter().next() else { return Box::new(std::iter::empty()) };
        let worker = first.worker.name();
        let slots = self.activity.slots_of(worker).unwrap_or(&NO_CYCLES);
        let limits = [(self.max_cycles(worker), slots), (self.max_active(), self.activity.active())];
        let limits: Vec<_> = limits.into_iter().filter_map(|(limit, taken)| Some((limit?, taken))).collect();
        let Some(free) = limits.iter().map(|(limit, taken)| limit.saturating_sub(taken.len())).min() else {
            return Box::new(queue.iter());
        };
        let mut admitted: BTreeSet<&Cycle> = limits.iter().flat_map(|(_, taken)| *taken).collect();
        admitted.extend(self.activity.marked_open());
        let mut new = BTreeSet::new();
        let others = queue.iter().filter_map(|(_, run)| run.cycle.as_ref());
        for cycle in others.filter(|cycle| !admitted.contains(cycle)) {
            if new.len() >= free && !new.contains(cycle) {
                break;
            }
            new.insert(cycle);
        }
        admitted.extend(new);
        let of_admitted = admitted.into_iter().flat_map(|cycle| queue.of_cycle(Some(cycle)));
        let mut runs: Vec<_> = queue.of_cycle(None).chain(of_admitted).collect();
        runs.sort_unstable_by_key(|(due, run)| (*due, run.id));
        Box::new(runs.into_iter())
    }

    fn max_cycles(&self, worker: &str) -> Option<usize> {
        let limit = self.policy.limits.get(worker)?.max_cycles?;
        usize::try_from(limit).ok()
    }

    fn max_active(&self) -> Option<usize> {
        usize::try_from(self.policy.cycles.max_active?).ok()
    }
}

static NO_CYCLES: BTreeSet<Cycle> = BTreeSet::new();

/// Whether a launch in a cycle would take one slot too many.
fn is_taken(taken: &BTreeSet<Cycle>, cycle: &Cycle, limit: usize) -> bool {
    taken.len() >= limit && !taken.contains(cycle)
}

fn named(cycles: &BTreeSet<Cycle>) -> String {
    let mut names: Vec<&str> = cycles.iter().map(Cycle::as_str).take(NAMED).collect();
    if cycles.len() > NAMED {
        names.push("…");
    }
    format!("{} {}", if cycles.len() == 1 { "cycle" } else { "cycles" }, names.join(", "))
}
