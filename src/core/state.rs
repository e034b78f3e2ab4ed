//! [`State`]: all that the manager knows between two events.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checklist::Checklist;
use super::event::RunId;
use super::joins::Joins;
use super::rules::NextWorker;
use crate::config::Config;

/// What the manager knows. Only [`super::decide`] changes it.
#[derive(Debug, Clone)]
pub struct State {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The state of the user's system.
    pub checklist: Checklist,
    /// Launches that wait for workers to finish.
    pub joins: Joins,
    /// Launched and not ended.
    pub runs: BTreeMap<RunId, NextWorker>,
    /// The number of the last run.
    pub last_run: u64,
    /// Whether the manager ends by itself when nothing is left to do.
    pub exit_when_idle: bool,
    /// Whether a worker crashed, a run ended badly or a rule failed: what
    /// `--exit-when-idle` turns into the exit status.
    pub trouble: bool,
}

impl State {
    /// The state at the start, with the checklist that the file holds.
    #[must_use]
    pub fn new(config: Arc<Config>, checklist: Checklist) -> Self {
        Self {
            config,
            checklist,
            joins: Joins::default(),
            runs: BTreeMap::new(),
            last_run: 0,
            exit_when_idle: false,
            trouble: false,
        }
    }

    /// Whether no run is open and no join waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.joins.is_empty()
    }
}
