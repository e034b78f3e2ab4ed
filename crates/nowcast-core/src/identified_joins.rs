//! The joins by cycle and since a moment that are open or known, with indexes.

use std::collections::{BTreeMap, BTreeSet};

use crate::cycle::Cycle;
use crate::cycles::NoteScope;
use crate::join::Join;
use crate::join_identity::IdentifiedJoin;
use crate::run::Number;
use crate::runs::remove_from_set;

/// The most joins since a moment that are open, and that are known after their end; the oldest is parked or forgotten. Joins by cycle are
/// known as long as their cycle.
pub const MOST_SINCE: usize = 1_000;

/// The most joins by cycle that are open; the oldest is parked. An open join keeps its cycle, so this bounds those beyond
/// [`MOST_CYCLES`](crate::cycles::MOST_CYCLES).
pub const MOST_BY_CYCLE: usize = 10_000;

/// The identified joins that are open or known, by what identifies them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IdentifiedJoins {
    by_identity: BTreeMap<(NoteScope, String), Number>,
    /// The open ones, by the cycle and the worker of the messages that count; without a cycle those since a moment.
    by_message: BTreeMap<Option<Cycle>, BTreeMap<String, BTreeSet<Number>>>,
    /// Those of the open ones that are since a moment.
    open_since: BTreeSet<Number>,
    /// Those of the open ones that are by cycle.
    open_by_cycle: BTreeSet<Number>,
    ended: BTreeMap<Number, Join>,
    /// Those of them that are since a moment.
    ended_since: BTreeSet<Number>,
}

impl IdentifiedJoins {
    pub(super) fn find(&self, scope: &NoteScope, name: &str) -> Option<Number> {
        self.by_identity.get(&(scope.clone(), name.to_owned())).copied()
    }

    pub(super) fn ended(&self) -> &BTreeMap<Number, Join> {
        &self.ended
    }

    pub(super) fn ended_mut(&mut self, id: Number) -> Option<&mut Join> {
        self.ended.get_mut(&id)
    }

    /// Return the open joins in which messages of a worker and cycle count, oldest first.
    pub(super) fn counting(&self, worker: &str, cycle: Option<&Cycle>) -> BTreeSet<Number> {
        let of = |cycle: Option<Cycle>| self.by_message.get(&cycle).and_then(|workers| workers.get(worker));
        let of_cycle = cycle.and_then(|cycle| of(Some(cycle.clone())));
        of_cycle.into_iter().chain(of(None)).flatten().copied().collect()
    }

    /// Return the ended joins that are forgotten with a cycle.
    pub(super) fn ended_of(&self, cycle: &Cycle) -> Vec<Number> {
        let scope = NoteScope::Cycle(cycle.clone());
        let of_cycle = self.by_identity.range((scope.clone(), String::new())..);
        let of_cycle = of_cycle.take_while(|((other, _), _)| *other == scope).map(|(_, id)| *id);
        of_cycle.filter(|id| self.ended.contains_key(id)).collect()
    }

    /// Return the ended join since a moment that is forgotten next, if there are too many.
    pub(super) fn ended_too_long_ago(&self) -> Option<Number> {
        self.ended_since.first().copied().filter(|_| self.ended_since.len() > MOST_SINCE)
    }

    /// Return the open join since a moment that is parked next, if there are too many.
    pub(super) fn open_since_too_many(&self) -> Option<Number> {
        self.open_since.first().copied().filter(|_| self.open_since.len() > MOST_SINCE)
    }

    /// Return the open join by cycle that is parked next, if there are too many.
    pub(super) fn open_by_cycle_too_many(&self) -> Option<Number> {
        self.open_by_cycle.first().copied().filter(|_| self.open_by_cycle.len() > MOST_BY_CYCLE)
    }

    pub(super) fn put_open(&mut self, join: &Join, identity: &IdentifiedJoin) {
        match identity.scope {
            NoteScope::Since(_) => self.open_since.insert(join.id),
            NoteScope::Cycle(_) => self.open_by_cycle.insert(join.id),
        };
        self.by_identity.insert((identity.scope.clone(), join.name.clone()), join.id);
        for (cycle, worker) in messages_of(identity) {
            self.by_message.entry(cycle).or_default().entry(worker).or_default().insert(join.id);
        }
    }

    pub(super) fn remove_open(&mut self, join: &Join, identity: &IdentifiedJoin) {
        self.open_since.remove(&join.id);
        self.open_by_cycle.remove(&join.id);
        for (cycle, worker) in messages_of(identity) {
            let Some(workers) = self.by_message.get_mut(&cycle) else { continue };
            remove_from_set(workers, worker.as_str(), &join.id);
            if workers.is_empty() {
                self.by_message.remove(&cycle);
            }
        }
    }

    pub(super) fn put_ended(&mut self, join: Join) {
        let Some(identity) = &join.identity else { return };
        self.by_identity.insert((identity.scope.clone(), join.name.clone()), join.id);
        if matches!(identity.scope, NoteScope::Since(_)) {
            self.ended_since.insert(join.id);
        }
        self.ended.insert(join.id, join);
    }

    /// Remove a join that has ended.
    pub(super) fn remove_ended(&mut self, id: Number) {
        let Some(join) = self.ended.remove(&id) else { return };
        self.ended_since.remove(&id);
        let Some(identity) = join.identity else { return };
        let key = (identity.scope, join.name);
        if self.by_identity.get(&key) == Some(&id) {
            self.by_identity.remove(&key);
        }
    }
}

/// The cycles and workers of the messages that count in a join.
fn messages_of(identity: &IdentifiedJoin) -> impl Iterator<Item = (Option<Cycle>, String)> {
    identity.wait_for.iter().map(|required| {
        let cycle = match identity.scope_of(required) {
            NoteScope::Cycle(cycle) => Some(cycle),
            NoteScope::Since(_) => None,
        };
        (cycle, required.worker.clone())
    })
}
