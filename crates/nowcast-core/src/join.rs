//! [`Join`]: launches that stay pending until several messages are received (a race condition of NEMO_Nowcast).
//!
//! NEMO_Nowcast has one at a time and loses its launches when the next one is opened. Here there may be any number: a message
//! counts in every open join that still requires it.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::clock::Steady;
use crate::cycle::Cycle;
use crate::cycle_of;
use crate::join_identity::IdentifiedJoin;
use crate::next_worker::NextWorker;
use crate::requested_launch::RequestedLaunch;
use crate::rules::{JoinRequest, Requirement};
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
    /// The identity of a join by cycle or since a moment, and how it ended; `None` for a join that counts from its opening on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Box<IdentifiedJoin>>,
}

impl Join {
    /// Return whether it has received everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.requires.is_empty()
    }

    /// Return the position of the requirement that such a message meets.
    pub(super) fn requirement_met_by(&self, worker: &str, r#type: &str) -> Option<usize> {
        self.requires.iter().position(|requirement| {
            requirement.worker == worker
                && requirement.r#type.as_deref().is_none_or(|expected| expected == r#type)
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
            self.requires.iter().map(|requirement| python::repr(&requirement.to_string())).collect();
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

impl Join {
    /// Return whether a request asks for the same as it does. Where in the rules it stands makes no difference.
    #[must_use]
    pub fn is_requested_by(&self, request: &JoinRequest) -> bool {
        let without_location = |launch: &[NextWorker]| -> Vec<NextWorker> {
            launch.iter().map(|worker| NextWorker { location: None, ..worker.clone() }).collect()
        };
        let is_same_list = |identity: &IdentifiedJoin| {
            let (then, now) = (&identity.wait_for, &request.wait_for);
            // In any order: entries differ.
            then.len() == now.len() && then.iter().all(|required| now.contains(required))
        };
        self.identity.as_deref().is_some_and(is_same_list)
            && self.timeout == request.timeout
            && without_location(&self.launch) == without_location(&request.launch)
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
