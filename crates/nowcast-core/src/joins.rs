//! Joins: launches that stay pending until several messages are received (NEMO_Nowcast's race conditions).
//!
//! NEMO_Nowcast has one at a time and loses its launches when the next one is opened. Here there may be any number: a message
//! counts in every open join that still requires it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::next_worker::NextWorker;
use crate::rules::Requirement;
use crate::run::Number;
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
    pub pending: Vec<PendingLaunch>,
    /// The join's own launches.
    pub launch: Vec<NextWorker>,
    /// The message whose rule opened it.
    pub opened_by: Number,
    /// The messages that have counted in it.
    pub received: Vec<Number>,
    /// When it is overdue.
    pub deadline: Option<Timestamp>,
}

/// A launch that was decided but not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLaunch {
    /// The worker to launch.
    pub worker: NextWorker,
    /// The message whose rule returned it.
    pub cause: Number,
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
    pub fn launches(&self) -> Vec<PendingLaunch> {
        let own =
            self.launch.iter().map(|worker| PendingLaunch { worker: worker.clone(), cause: self.opened_by });
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
        self.r#type.as_ref().map_or(Ok(()), |r#type| write!(out, " ({type})"))
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

/// The open joins, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joins {
    open: BTreeMap<Number, Join>,
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
        self.open().find(|join| join.name == name)
    }

    pub(super) fn put(&mut self, join: Join) {
        self.open.insert(join.id, join);
    }

    pub(super) fn remove(&mut self, id: Number) {
        self.open.remove(&id);
    }
}
