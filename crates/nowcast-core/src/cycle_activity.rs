//! [`CycleActivity`]: which cycles have open items, and which have had none for how long.
//!
//! It follows from the rest of the state, so that neither a message nor a turn of the manager's loop examines all cycles.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Steady;
use crate::cycle::Cycle;
use crate::run::Number;
use crate::runs::remove_from_set;

/// The open runs, joins and parked items of each cycle, and the cycles without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CycleActivity {
    /// The open items of each cycle: all numbers are of one sequence.
    open: BTreeMap<Cycle, BTreeSet<Number>>,
    /// The cycles of each open item: those of parked launches may differ.
    cycles_of: BTreeMap<Number, BTreeSet<Cycle>>,
    /// When each cycle had its last event.
    last: BTreeMap<Cycle, Steady>,
    /// The cycles with nothing open, by their last event.
    idle: BTreeSet<(Steady, Cycle)>,
    /// The cycles without a mark in which each worker was launched: they take its slots.
    slots: BTreeMap<String, BTreeSet<Cycle>>,
    /// The cycles without a mark in which anything was launched.
    active: BTreeSet<Cycle>,
    /// The cycles with a mark: done, cancelled or skipped.
    marked: BTreeSet<Cycle>,
    /// Those of them that have something open.
    marked_open: BTreeSet<Cycle>,
}

impl CycleActivity {
    /// Return the numbers of the open runs, joins and parked items of a cycle.
    pub fn open_in(&self, cycle: &Cycle) -> impl Iterator<Item = Number> {
        self.open.get(cycle).into_iter().flatten().copied()
    }

    /// Return the cycles of an open item.
    pub(crate) fn cycles_of(&self, item: Number) -> impl Iterator<Item = &Cycle> {
        self.cycles_of.get(&item).into_iter().flatten()
    }

    /// Return the cycle that has had nothing open for longest, and when its last event was.
    pub(crate) fn longest_idle(&self) -> Option<(Steady, &Cycle)> {
        self.idle.first().map(|(last, cycle)| (*last, cycle))
    }

    /// An item of these cycles is open.
    pub(crate) fn opened(&mut self, item: Number, cycles: impl IntoIterator<Item = Cycle>) {
        let cycles: BTreeSet<Cycle> = cycles.into_iter().collect();
        if self.cycles_of.get(&item).is_some_and(|before| *before == cycles) {
            return;
        }
        self.closed(item);
        for cycle in &cycles {
            self.open.entry(cycle.clone()).or_default().insert(item);
            self.update_idle(cycle);
        }
        if !cycles.is_empty() {
            self.cycles_of.insert(item, cycles);
        }
    }

    /// An item is open no longer.
    pub(crate) fn closed(&mut self, item: Number) {
        for cycle in self.cycles_of.remove(&item).unwrap_or_default() {
            remove_from_set(&mut self.open, &cycle, &item);
            self.update_idle(&cycle);
        }
    }

    /// Return the cycles that take the slots of a worker.
    #[must_use]
    pub fn slots_of(&self, worker: &str) -> Option<&BTreeSet<Cycle>> {
        self.slots.get(worker)
    }

    /// Return the cycles that are active: something was launched in them, and they have no mark.
    #[must_use]
    pub fn active(&self) -> &BTreeSet<Cycle> {
        &self.active
    }

    /// Return the cycles with a mark that have something open.
    pub(crate) fn marked_open(&self) -> &BTreeSet<Cycle> {
        &self.marked_open
    }

    /// A cycle without a mark takes a slot of each of these workers.
    pub(crate) fn takes_slots<'a>(&mut self, cycle: &Cycle, workers: impl IntoIterator<Item = &'a String>) {
        self.marked.remove(cycle);
        self.update_marked_open(cycle);
        for worker in workers {
            self.slots.entry(worker.clone()).or_default().insert(cycle.clone());
            self.active.insert(cycle.clone());
        }
    }

    /// A cycle with a mark takes no slots of these workers any more.
    pub(crate) fn frees_slots<'a>(&mut self, cycle: &Cycle, workers: impl IntoIterator<Item = &'a String>) {
        for worker in workers {
            remove_from_set(&mut self.slots, worker.as_str(), cycle);
        }
        self.active.remove(cycle);
        self.marked.insert(cycle.clone());
        self.update_marked_open(cycle);
    }

    /// A kept cycle had an event.
    pub(crate) fn seen(&mut self, cycle: &Cycle, at: Steady) {
        if let Some(before) = self.last.insert(cycle.clone(), at) {
            self.idle.remove(&(before, cycle.clone()));
        }
        self.update_idle(cycle);
    }

    /// A cycle is kept no longer.
    pub(crate) fn forgotten(&mut self, cycle: &Cycle) {
        if let Some(last) = self.last.remove(cycle) {
            self.idle.remove(&(last, cycle.clone()));
        }
        self.marked.remove(cycle);
        self.update_marked_open(cycle);
    }

    fn update_marked_open(&mut self, cycle: &Cycle) {
        if self.marked.contains(cycle) && self.open.contains_key(cycle) {
            self.marked_open.insert(cycle.clone());
        } else {
            self.marked_open.remove(cycle);
        }
    }

    fn update_idle(&mut self, cycle: &Cycle) {
        self.update_marked_open(cycle);
        let Some(last) = self.last.get(cycle) else { return };
        let entry = (*last, cycle.clone());
        if self.open.contains_key(cycle) {
            self.idle.remove(&entry);
        } else {
            self.idle.insert(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_idle_from_its_last_event_on_if_nothing_of_it_is_open() {
        let [a, b] = ["a", "b"].map(|label| Cycle::parse(label).unwrap());
        let at = |second| Steady(jiff::Timestamp::from_second(second).unwrap());
        let mut activity = CycleActivity::default();
        activity.seen(&a, at(1));
        activity.opened(Number(4), [a.clone()]);
        assert_eq!(activity.longest_idle(), None);
        activity.seen(&b, at(2));
        assert_eq!(activity.longest_idle(), Some((at(2), &b)));
        activity.opened(Number(5), [a.clone(), b.clone()]);
        activity.closed(Number(4));
        assert_eq!(activity.open_in(&a).collect::<Vec<_>>(), [Number(5)]);
        assert_eq!(activity.longest_idle(), None);
        activity.closed(Number(5));
        assert_eq!(activity.longest_idle(), Some((at(1), &a)));
        activity.seen(&a, at(3));
        assert_eq!(activity.longest_idle(), Some((at(2), &b)));
        activity.forgotten(&a);
        activity.forgotten(&b);
        assert_eq!(activity, CycleActivity::default(), "nothing is left in any index");
    }
}
