//! [`Hold`]: an operator's order that pauses launches.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::{Now, Steady};
use crate::cycle::Cycle;
use crate::next_worker::NextWorker;
use crate::run::Number;

/// An order that pauses launches. They stay pending and are launched when it is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number.
    pub id: Number,
    /// The launches that it holds.
    pub target: HoldTarget,
    /// The time of the wall clock at which it ends.
    pub until: Option<Timestamp>,
    /// When it ends if it was given a duration. Without this and `until`, only a release ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Steady>,
    /// The operator's note.
    pub reason: Option<String>,
    /// The operator.
    pub user: String,
}

/// The launches that a hold pauses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldTarget {
    /// Every launch.
    All,
    /// The launches of one worker.
    Worker(String),
    /// The launches on one host.
    Host(String),
    /// The launches of one cycle.
    Cycle(Cycle),
    /// Every launch, since the journal was restored from a backup.
    Restored,
}

impl Hold {
    /// Return when it ends, if the wall clock is not set until then.
    #[must_use]
    pub fn end(&self, now: Now) -> Option<Steady> {
        self.ends.or_else(|| self.until.map(|until| now.steady_at(until)))
    }

    /// Return whether it pauses this launch in this cycle.
    #[must_use]
    pub fn holds(&self, worker: &NextWorker, cycle: Option<&Cycle>) -> bool {
        match &self.target {
            HoldTarget::All | HoldTarget::Restored => true,
            HoldTarget::Worker(name) => worker.name() == name,
            HoldTarget::Host(host) => worker.host == *host,
            HoldTarget::Cycle(held) => cycle == Some(held),
        }
    }
}

impl std::fmt::Display for HoldTarget {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HoldTarget::All | HoldTarget::Restored => write!(out, "all"),
            HoldTarget::Worker(name) => write!(out, "worker {name}"),
            HoldTarget::Host(host) => write!(out, "host {host}"),
            HoldTarget::Cycle(cycle) => write!(out, "cycle {cycle}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(target: HoldTarget) -> Hold {
        Hold { id: Number(1), target, until: None, ends: None, reason: None, user: "ana".to_owned() }
    }

    #[test]
    fn a_hold_pauses_the_launches_of_its_target() {
        let mut worker = NextWorker::new("nowcast.workers.make_plots", Vec::new());
        worker.host = "nibi".to_owned();
        let today = Cycle::parse("today").unwrap();
        for (target, expected) in [
            (HoldTarget::All, true),
            (HoldTarget::Restored, true),
            (HoldTarget::Worker("make_plots".to_owned()), true),
            (HoldTarget::Worker("make".to_owned()), false),
            (HoldTarget::Host("nibi".to_owned()), true),
            (HoldTarget::Host("localhost".to_owned()), false),
            (HoldTarget::Cycle(today.clone()), true),
            (HoldTarget::Cycle(Cycle::parse("tomorrow").unwrap()), false),
        ] {
            assert_eq!(hold(target.clone()).holds(&worker, Some(&today)), expected, "{target}");
        }
    }
}
