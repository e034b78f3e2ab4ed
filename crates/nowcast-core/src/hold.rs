//! [`Hold`]: an operator's order that launches wait.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::next_worker::NextWorker;
use crate::run::Number;

/// An order that launches wait. Nothing is lost: they go when it is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number.
    pub id: Number,
    /// What is held.
    pub target: HoldTarget,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Who gave it.
    pub user: String,
}

/// What a hold holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldTarget {
    /// Every launch.
    All,
    /// The launches of one worker.
    Worker(String),
    /// The launches on one host.
    Host(String),
}

impl Hold {
    /// Whether a launch has to wait for it.
    #[must_use]
    pub fn holds(&self, worker: &NextWorker) -> bool {
        match &self.target {
            HoldTarget::All => true,
            HoldTarget::Worker(name) => worker.name() == name,
            HoldTarget::Host(host) => worker.host == *host,
        }
    }
}

impl std::fmt::Display for HoldTarget {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HoldTarget::All => write!(out, "all"),
            HoldTarget::Worker(name) => write!(out, "worker {name}"),
            HoldTarget::Host(host) => write!(out, "host {host}"),
        }
    }
}
