//! Joins: launches that stay pending until several messages are received (NEMO_Nowcast's race conditions).
//!
//! NEMO_Nowcast has one at a time and loses its launches when the next one is opened. Here there may be any number: a message
//! counts in every open join that still requires it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::clock::Steady;
use crate::cycle::Cycle;
use crate::cycle_of;
use crate::cycles::NoteScope;
use crate::identified_joins::{IdentifiedJoins, JoinIdentity};
use crate::next_worker::NextWorker;
use crate::requested_launch::RequestedLaunch;
use crate::rules::Requirement;
use crate::run::Number;
use crate::runs::remove_from_set;
use pyyaml::python;

/// Launches that are pending until the required messages are received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Its number.
    pub id: Number,
    /// The name from the rule, or for a race set the worker whose rule opened it.
    pub name: String,
    /// The messages that it still requires, in the rule's order.
    pub requires: Vec<Requirement>,
    /// The pending launches in it.
    pub pending: Vec<RequestedLaunch>,
    /// The join's own launches.
    pub launch: Vec<NextWorker>,
    /// The message whose rule opened it.
    pub opened_by: Number,
    /// The cycle of that message; of a join by cycle its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// The messages that have counted in it.
    pub received: Vec<Number>,
    /// When it is overdue.
    pub deadline: Option<Steady>,
    /// The rule's `timeout`; `None` in old entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SignedDuration>,
    /// What identifies a join by cycle or since a moment, and how it ended; `None` for a join that counts from its opening on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Box<JoinIdentity>>,
}

impl Join {
    /// Return whether it has received everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.requires.is_empty()
    }

    /// Return the position of the requirement that such a message meets.
    pub(super) fn requirement_met_by(&self, worker: &str, r#type: &str) -> Option<usize> {
        self.requires.iter().position(|wanted| {
            wanted.worker == worker && wanted.r#type.as_deref().is_none_or(|wanted| wanted == r#type)
        })
    }

    /// Count a message that it requires.
    pub(super) fn count(&mut self, message: Number, worker: &str, r#type: &str) {
        let Some(at) = self.requirement_met_by(worker, r#type) else { return };
        if self.requires[at].count > 1 {
            self.requires[at].count -= 1;
        } else {
            self.requires.remove(at);
        }
        self.received.push(message);
    }

    /// Return the launches that it releases when it is complete: the pending ones and its own.
    #[must_use]
    pub fn launches(&self) -> Vec<RequestedLaunch> {
        let own = self.launch.iter().map(|worker| {
            let cycle = cycle_of::launch(worker.options.cycle.as_ref(), self.cycle.as_ref());
            let join = self.identity.is_some().then_some(self.id);
            RequestedLaunch { worker: worker.clone(), cycle, cause: self.opened_by, join }
        });
        self.pending.iter().cloned().chain(own).collect()
    }

    /// Return its requirements as text: `ssh, 14 × rivers (success)`.
    #[must_use]
    pub fn requirements(&self) -> String {
        self.requires.iter().map(Requirement::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count > 1 {
            write!(out, "{} × ", self.count)?;
        }
        write!(out, "{}", self.worker)?;
        if let Some(r#type) = &self.r#type {
            write!(out, " ({type})")?;
        }
        self.cycle.as_ref().map_or(Ok(()), |cycle| write!(out, " of cycle {cycle}"))
    }
}

impl fmt::Display for Join {
    /// Write it as NEMO_Nowcast logs a race condition.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> =
            self.requires.iter().map(|wanted| python::repr(&wanted.to_string())).collect();
        let must_finish =
            if names.is_empty() { "set()".to_owned() } else { format!("{{{}}}", names.join(", ")) };
        let launches = self.launches();
        let launches = list(launches.iter().map(|launch| &launch.worker));
        write!(out, "{{'must finish': {must_finish}, 'then launch': {launches}}}")
    }
}

/// Return launches as Python shows a list of them.
pub(super) fn list<'a>(workers: impl IntoIterator<Item = &'a NextWorker>) -> String {
    let shown: Vec<String> = workers.into_iter().map(NextWorker::to_string).collect();
    format!("[{}]", shown.join(", "))
}

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
        match &join.identity {
            Some(identity) => self.identified.put_open(&join, identity),
            None => {
                self.by_name.entry(join.name.clone()).or_default().insert(join.id);
                for required in &join.requires {
                    self.by_worker.entry(required.worker.clone()).or_default().insert(join.id);
                }
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

    /// Forget an identified join that has ended.
    pub(super) fn forget(&mut self, id: Number) {
        self.identified.remove_ended(id);
    }

    fn remove(&mut self, id: Number) -> Option<Join> {
        self.identified.remove_ended(id);
        let join = self.open.remove(&id)?;
        match &join.identity {
            Some(identity) => self.identified.remove_open(&join, identity),
            None => {
                remove_from_set(&mut self.by_name, join.name.as_str(), &id);
                for required in &join.requires {
                    remove_from_set(&mut self.by_worker, required.worker.as_str(), &id);
                }
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

    fn requirement(worker: &str, r#type: Option<&str>, count: u32) -> Requirement {
        Requirement { worker: worker.to_owned(), r#type: r#type.map(str::to_owned), count, cycle: None }
    }

    fn join(requires: Vec<Requirement>) -> Join {
        Join {
            id: Number(3),
            name: "forcing".to_owned(),
            requires,
            pending: vec![RequestedLaunch {
                worker: NextWorker::new("plots", Vec::new()),
                cycle: None,
                cause: Number(4),
                join: None,
            }],
            launch: vec![NextWorker::new("run_nemo", Vec::new())],
            opened_by: Number(2),
            cycle: None,
            received: Vec::new(),
            deadline: None,
            timeout: None,
            identity: None,
        }
    }

    #[test]
    fn messages_count_until_every_requirement_is_met() {
        let mut join = join(vec![requirement("rivers", None, 2), requirement("ssh", Some("success"), 1)]);
        assert_eq!(join.requirements(), "2 × rivers, ssh (success)");
        for (number, worker, r#type, left) in [
            (5, "ssh", "failure", "2 × rivers, ssh (success)"),
            (6, "rivers", "failure", "rivers, ssh (success)"),
            (7, "ssh", "success", "rivers"),
            (8, "ssh", "success", "rivers"),
            (9, "rivers", "success", ""),
        ] {
            join.count(Number(number), worker, r#type);
            assert_eq!(join.requirements(), left, "after #{number}");
            assert_eq!(join.is_complete(), left.is_empty());
        }
        assert_eq!(join.received, [6, 7, 9].map(Number));
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

    #[test]
    fn its_own_launches_follow_the_pending_ones_and_are_caused_by_its_opening() {
        let launches = join(Vec::new()).launches();
        let found: Vec<_> = launches.iter().map(|launch| (launch.worker.name(), launch.cause.0)).collect();
        assert_eq!(found, [("plots", 4), ("run_nemo", 2)]);
    }

    #[test]
    fn a_join_is_logged_as_nemo_nowcast_logs_a_race_condition() {
        let mut one = join(vec![requirement("rivers", None, 1), requirement("ssh", None, 1)]);
        one.launch.clear();
        let launches = "[NextWorker(module='plots', args=[], host='localhost')]";
        assert_eq!(
            one.to_string(),
            format!("{{'must finish': {{'rivers', 'ssh'}}, 'then launch': {launches}}}")
        );
        one.requires.clear();
        assert_eq!(one.to_string(), format!("{{'must finish': set(), 'then launch': {launches}}}"));
    }
}
