//! [`Look`]: what the commands that only look stand on: configuration, journal, the time of now.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::ZonedDateTime;

use super::operate::Common;
use super::print;
use crate::config::Config;
use crate::core::checklist::Checklist;
use crate::core::{Change, State};
use crate::launch::RunFolder;
use crate::manager::RUNS;
use crate::store::journal::{History, Open};
use crate::yaml::{Map, Value};

/// One look at the journal.
pub(super) struct Look {
    pub config: Config,
    pub history: History,
    pub now: ZonedDateTime,
}

impl Common {
    /// Opens the journal and does something with it; why that failed is said, and the exit status is 1, or
    /// 2 for a configuration that cannot be used.
    pub(super) fn look(&self, work: impl FnOnce(&Look) -> anyhow::Result<ExitCode>) -> ExitCode {
        let config = match self.load() {
            Ok(config) => config,
            Err(status) => return status,
        };
        let done = History::open(&config.journal.folder)
            .map_err(anyhow::Error::from)
            .and_then(|history| work(&Look { config, history, now: ZonedDateTime::now() }));
        done.unwrap_or_else(|error| {
            eprintln!("{}", print::clean(&format!("{error:#}")));
            ExitCode::FAILURE
        })
    }
}

impl Look {
    /// The files of a run that was launched.
    pub(super) fn run_folder(&self, run: &crate::core::Run) -> Option<RunFolder> {
        Some(RunFolder::new(self.runs().join(run.folder()?), run.id.0.to_string()))
    }

    fn runs(&self) -> PathBuf {
        let folder: &Path = &self.config.journal.folder;
        folder.join(RUNS)
    }
}

/// What a manager that started now would know.
pub(super) fn state(config: &Config, open: &Open, checklist: Map) -> State {
    let mut state = State::new(std::sync::Arc::new(config.clone()), Checklist::new(checklist));
    let runs = open.runs.iter().cloned().map(|run| Change::Run(Box::new(run)));
    let joins = open.joins.iter().cloned().map(Change::Join);
    let parked = open.parked.iter().cloned().map(Change::Parked);
    let holds = open.holds.iter().cloned().map(Change::Hold);
    for change in runs.chain(joins).chain(parked).chain(holds) {
        state.apply(&change, &Value::Null);
    }
    if let Some(rules) = &open.rules {
        state.rules = (rules.generation, rules.hash.clone());
    }
    let given = [
        open.last_event.as_ref().map(|event| event.number.0),
        state.runs.keys().next_back().map(|id| id.0),
        state.holds.keys().next_back().map(|id| id.0),
        state.joins.open().last().map(|join| join.id.0),
    ];
    state.last_number = given.into_iter().flatten().max().unwrap_or_default();
    state
}
