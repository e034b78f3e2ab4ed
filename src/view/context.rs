//! [`ViewContext`]: the sources of a view: configuration, journal and current time. This module never asks the manager,
//! so every view works without one.

use std::sync::Arc;

use jiff::ZonedDateTime;

use crate::config::Config;
use crate::launch::RunFolder;
use crate::store::journal::{History, JournalError, OpenItems};
use nowcast_core::{Cycle, Cycles, DecisionTime, Now, Number, State};
use pyyaml::Map;

/// The sources of a view.
pub struct ViewContext {
    pub config: Config,
    pub history: History,
    /// The wall clock, for people.
    pub now: ZonedDateTime,
    /// The same moment, for spans.
    pub present: Now,
    /// The same moment by both clocks.
    pub time: DecisionTime,
}

impl ViewContext {
    /// Return the context of a view at a moment.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn new(config: Config, history: History, time: DecisionTime) -> Result<Self, JournalError> {
        let present = history.clock()?.now(&time);
        Ok(Self { config, history, now: time.wall.clone(), present, time })
    }

    /// Return the folder of a run that was launched.
    pub fn run_folder(&self, run: &nowcast_core::Run) -> Option<RunFolder> {
        Some(RunFolder::new(self.config.journal.runs_folder().join(run.folder()?), run.id.0.to_string()))
    }

    /// Return the events between which those of a cycle are, if it is kept.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn within(&self, cycle: Option<&Cycle>) -> Result<Option<(Number, Number)>, JournalError> {
        let Some(cycle) = cycle else { return Ok(None) };
        Ok(self.history.cycles_now()?.get(cycle).map(|kept| (kept.begun, kept.last)))
    }

    /// Return the state of a manager that would start now with these open records, this checklist and these cycles.
    pub fn state(&self, open: &OpenItems, checklist: Map, cycles: Cycles) -> State {
        open.state(Arc::new(self.config.policy()), checklist, cycles)
    }
}
