//! Joins by cycle and joins since a moment: they are identified by their name and by the messages that count in them.
//!
//! A join that a rule opens counts from then on, so it waits for ever for a message that has come already. An identified join counts the
//! notes of messages, whenever they came. It stays known after its end, so that it completes once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cycle::Cycle;
use crate::cycles::{Cycles, NoteScope};
use crate::joins::Join;
use crate::next_worker::NextWorker;
use crate::rules::{JoinRequest, Requirement};
use crate::run::Number;

/// The most joins since a moment that are known after their end; the oldest is forgotten first. Joins by cycle are known as long as their
/// cycle.
pub const MOST_ENDED_SINCE: usize = 1_000;

/// What a join has that is identified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinIdentity {
    /// The messages that count in it. With its name, this identifies it.
    pub scope: NoteScope,
    /// The required messages, as the rule said them: [`Join::requires`] has those that are missing.
    pub wait_for: Vec<Requirement>,
    /// The position in the rules where it was requested first, as `next_workers.lua:12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How it ended; `None` while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<JoinEnd>,
    /// The last request under its name that was different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<JoinConflict>,
}

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinEnd {
    /// It received everything.
    Completed,
    /// An operator released it.
    Released,
    /// It was overdue, and its launches were parked.
    TimedOut,
    /// An operator discarded it.
    Discarded,
}

/// A request that differs from the join that has its name. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinConflict {
    /// The message whose rule requested it.
    pub message: Number,
    /// When that was, by the wall clock.
    pub at: Timestamp,
    /// The position in the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

impl JoinIdentity {
    /// Return the notes in which messages of a requirement count.
    #[must_use]
    pub fn scope_of(&self, required: &Requirement) -> NoteScope {
        required.cycle.clone().map_or_else(|| self.scope.clone(), NoteScope::Cycle)
    }

    /// Return the messages that it still requires, and those that count in it, oldest first. A chain counts once.
    #[must_use]
    pub fn evaluate(&self, cycles: &Cycles) -> (Vec<Requirement>, Vec<Number>) {
        let (mut missing, mut received, mut counted) = (Vec::new(), Vec::new(), BTreeSet::new());
        for required in &self.wait_for {
            let found =
                cycles.counting(&self.scope_of(required), &required.worker, required.r#type.as_deref());
            let found = found.into_iter().filter(|(chain, _)| !counted.contains(chain));
            let found: Vec<_> = found.take(required.count as usize).collect();
            // At most as many as were taken.
            let left = required.count - u32::try_from(found.len()).unwrap_or(required.count);
            if left > 0 {
                missing.push(Requirement { count: left, ..required.clone() });
            }
            counted.extend(found.iter().map(|(chain, _)| *chain));
            received.extend(found.into_iter().map(|(_, message)| message));
        }
        received.sort_unstable();
        (missing, received)
    }
}

impl Join {
    /// Return whether a request asks for the same as it does. Where in the rules it stands makes no difference.
    #[must_use]
    pub fn is_requested_by(&self, request: &JoinRequest) -> bool {
        let without_location = |launch: &[NextWorker]| -> Vec<NextWorker> {
            launch.iter().map(|worker| NextWorker { location: None, ..worker.clone() }).collect()
        };
        self.identity.as_ref().is_some_and(|identity| identity.wait_for == request.wait_for)
            && self.timeout == request.timeout
            && without_location(&self.launch) == without_location(&request.launch)
    }
}

/// The identified joins that are open or known, by what identifies them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IdentifiedJoins {
    by_identity: BTreeMap<(NoteScope, String), Number>,
    /// The open ones, by the cycle and the worker of the messages that count; without a cycle those since a moment.
    by_message: BTreeMap<Option<Cycle>, BTreeMap<String, BTreeSet<Number>>>,
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
        self.ended_since.first().copied().filter(|_| self.ended_since.len() > MOST_ENDED_SINCE)
    }

    pub(super) fn put_open(&mut self, join: &Join, identity: &JoinIdentity) {
        self.by_identity.insert((identity.scope.clone(), join.name.clone()), join.id);
        for (cycle, worker) in messages_of(identity) {
            self.by_message.entry(cycle).or_default().entry(worker).or_default().insert(join.id);
        }
    }

    pub(super) fn remove_open(&mut self, join: &Join, identity: &JoinIdentity) {
        for (cycle, worker) in messages_of(identity) {
            let Some(workers) = self.by_message.get_mut(&cycle) else { continue };
            crate::runs::remove_from_set(workers, worker.as_str(), &join.id);
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
fn messages_of(identity: &JoinIdentity) -> impl Iterator<Item = (Option<Cycle>, String)> {
    identity.wait_for.iter().map(|required| {
        let cycle = match identity.scope_of(required) {
            NoteScope::Cycle(cycle) => Some(cycle),
            NoteScope::Since(_) => None,
        };
        (cycle, required.worker.clone())
    })
}
