//! [`Joins`]: the open joins, with indexes.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Steady;
use crate::cycle::Cycle;
use crate::cycles::NoteScope;
use crate::identified_joins::IdentifiedJoins;
use crate::join::Join;
use crate::join_identity::JoinConflict;
use crate::run::Number;
use crate::runs::remove_from_set;

/// The open joins, oldest first, with indexes, so that a message does not examine all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joins {
    open: BTreeMap<Number, Join>,
    by_name: BTreeMap<String, BTreeSet<Number>>,
    /// By each worker that a join still requires.
    by_worker: BTreeMap<String, BTreeSet<Number>>,
    by_deadline: BTreeSet<(Steady, Number)>,
    /// Joins by cycle and since a moment, which the two indexes by name and worker do not have.
    identified: IdentifiedJoins,
}

impl Joins {
    /// Return whether no join is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Return the open joins, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Join> {
        self.open.values()
    }

    /// Return an open join.
    #[must_use]
    pub fn get(&self, id: Number) -> Option<&Join> {
        self.open.get(&id)
    }

    /// Return the open join of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Join> {
        self.get(*self.by_name.get(name)?.first()?)
    }

    /// Return the join of that name and scope, whether it is open or has ended.
    #[must_use]
    pub fn identified(&self, scope: &NoteScope, name: &str) -> Option<&Join> {
        let id = self.identified.find(scope, name)?;
        self.get(id).or_else(|| self.identified.ended().get(&id))
    }

    /// Return the identified joins that have ended and are still known, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = &Join> {
        self.identified.ended().values()
    }

    /// Return the open identified joins in which messages of a worker and cycle count, oldest first.
    pub(super) fn counting(&self, worker: &str, cycle: Option<&Cycle>) -> impl Iterator<Item = &Join> {
        self.identified.counting(worker, cycle).into_iter().filter_map(|id| self.get(id))
    }

    /// Return the ended joins that are forgotten with a cycle.
    pub(super) fn ended_of(&self, cycle: &Cycle) -> Vec<Number> {
        self.identified.ended_of(cycle)
    }

    /// Return the open join since a moment that is parked next, if there are too many.
    pub(super) fn open_since_too_many(&self) -> Option<&Join> {
        self.get(self.identified.open_since_too_many()?)
    }

    /// Return the open join by cycle that is parked next, if there are too many.
    pub(super) fn open_by_cycle_too_many(&self) -> Option<&Join> {
        self.get(self.identified.open_by_cycle_too_many()?)
    }

    /// Return the ended join since a moment that is forgotten next, if there are too many.
    pub(super) fn ended_too_long_ago(&self) -> Option<Number> {
        self.identified.ended_too_long_ago()
    }

    /// Return the open joins that require such a message, oldest first.
    pub(super) fn requiring(&self, worker: &str, r#type: &str) -> impl Iterator<Item = &Join> {
        let joins = self.by_worker.get(worker).into_iter().flatten().filter_map(|id| self.get(*id));
        joins.filter(move |join| join.requirement_met_by(worker, r#type).is_some())
    }

    /// Return the open joins whose deadline has passed, oldest first.
    pub(super) fn overdue(&self, now: Steady) -> impl Iterator<Item = &Join> {
        let overdue = self.by_deadline.range(..=(now, Number(u64::MAX)));
        let overdue: BTreeSet<Number> = overdue.map(|(_, id)| *id).collect();
        overdue.into_iter().filter_map(|id| self.get(id))
    }

    /// Return the first deadline of an open join.
    pub(super) fn next_deadline(&self) -> Option<Steady> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn put(&mut self, join: Join) {
        self.remove(join.id);
        if let Some(identity) = &join.identity {
            self.identified.put_open(&join, identity);
        } else {
            self.by_name.entry(join.name.clone()).or_default().insert(join.id);
            for required in &join.requires {
                self.by_worker.entry(required.worker.clone()).or_default().insert(join.id);
            }
        }
        self.by_deadline.extend(join.deadline.map(|deadline| (deadline, join.id)));
        self.open.insert(join.id, join);
    }

    /// Close a join. An identified one stays known.
    pub(super) fn close(&mut self, id: Number) {
        if let Some(join) = self.remove(id) {
            self.identified.put_ended(join);
        }
    }

    /// Note how an identified join was requested differently.
    pub(super) fn set_conflict(&mut self, id: Number, conflict: &JoinConflict) {
        let open = self.open.get_mut(&id);
        let join = open.or_else(|| self.identified.ended_mut(id));
        if let Some(identity) = join.and_then(|join| join.identity.as_mut()) {
            identity.conflict = Some(conflict.clone());
        }
    }

    /// Forget an identified join that has ended.
    pub(super) fn forget(&mut self, id: Number) {
        self.identified.remove_ended(id);
    }

    fn remove(&mut self, id: Number) -> Option<Join> {
        self.identified.remove_ended(id);
        let join = self.open.remove(&id)?;
        if let Some(identity) = &join.identity {
            self.identified.remove_open(&join, identity);
        } else {
            remove_from_set(&mut self.by_name, join.name.as_str(), &id);
            for required in &join.requires {
                remove_from_set(&mut self.by_worker, required.worker.as_str(), &id);
            }
        }
        if let Some(deadline) = join.deadline {
            self.by_deadline.remove(&(deadline, id));
        }
        Some(join)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Requirement;

    fn requirement(worker: &str, r#type: Option<&str>, count: u32) -> Requirement {
        Requirement { worker: worker.to_owned(), r#type: r#type.map(str::to_owned), count, cycle: None }
    }

    fn join(requires: Vec<Requirement>) -> Join {
        Join {
            id: Number(3),
            name: "forcing".to_owned(),
            requires,
            pending: Vec::new(),
            launch: Vec::new(),
            opened_by: Number(2),
            cycle: None,
            received: Vec::new(),
            deadline: None,
            timeout: None,
            identity: None,
        }
    }

    fn ids<'a>(joins: impl Iterator<Item = &'a Join>) -> Vec<u64> {
        joins.map(|join| join.id.0).collect()
    }

    #[test]
    fn a_join_is_found_by_its_name_its_deadline_and_the_workers_that_it_still_requires() {
        let due = |second| Steady(jiff::Timestamp::from_second(second).unwrap());
        let mut joins = Joins::default();
        for (id, name, deadline) in
            [(3, "b", Some(20)), (4, "a", Some(10)), (5, "c", None), (6, "a", Some(20))]
        {
            let requires = vec![requirement("rivers", None, 2), requirement("ssh", Some("success"), 1)];
            let (id, name) = (Number(id), name.to_owned());
            joins.put(Join { id, name, deadline: deadline.map(due), ..join(requires) });
        }
        assert_eq!(joins.named("a").map(|join| join.id), Some(Number(4)), "the oldest");
        assert_eq!(joins.next_deadline(), Some(due(10)));
        for (now, overdue) in [(9, vec![]), (10, vec![4]), (20, vec![3, 4, 6])] {
            assert_eq!(ids(joins.overdue(due(now))), overdue);
        }
        assert_eq!(ids(joins.requiring("ssh", "success")), [3, 4, 5, 6]);
        assert!(ids(joins.requiring("ssh", "failure")).is_empty());
        assert!(ids(joins.requiring("tides", "success")).is_empty());

        let mut counted = joins.get(Number(4)).unwrap().clone();
        counted.count(Number(9), "ssh", "success");
        counted.deadline = None;
        joins.put(counted);
        assert_eq!(ids(joins.requiring("ssh", "success")), [3, 5, 6]);
        assert_eq!(ids(joins.requiring("rivers", "success")), [3, 4, 5, 6]);
        assert_eq!(ids(joins.overdue(due(20))), [3, 6]);

        joins.close(Number(4));
        assert_eq!(joins.named("a").map(|join| join.id), Some(Number(6)));
        for id in [3, 5, 6] {
            joins.close(Number(id));
        }
        assert_eq!(joins, Joins::default(), "nothing is left in any index");
    }
}
