//! [`Look`]: what the views stand on: configuration, journal, the time of now.

use std::sync::Arc;

use jiff::ZonedDateTime;

use crate::config::Config;
use crate::launch::RunFolder;
use crate::store::journal::{History, Open};
use nowcast_core::State;
use pyyaml::Map;

/// One look at the journal.
pub struct Look {
    pub config: Config,
    pub history: History,
    pub now: ZonedDateTime,
}

impl Look {
    /// The files of a run that was launched.
    pub fn run_folder(&self, run: &nowcast_core::Run) -> Option<RunFolder> {
        Some(RunFolder::new(self.config.journal.runs_folder().join(run.folder()?), run.id.0.to_string()))
    }
}

/// What a manager that started now would know.
pub fn state(config: &Config, open: &Open, checklist: Map) -> State {
    let given = [
        open.last_event.as_ref().map(|event| event.number),
        open.runs.last().map(|run| run.id),
        open.joins.last().map(|join| join.id),
        open.holds.last().map(|hold| hold.id),
    ];
    let last_number = given.into_iter().flatten().max().unwrap_or_default().0;
    State::recovered(Arc::new(config.policy()), checklist, open.changes(), last_number)
}
