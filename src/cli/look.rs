//! [`Look`]: what the commands that only look stand on: configuration, journal, the time of now.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::ZonedDateTime;

use super::operate::Common;
use super::print;
use crate::config::Config;
use crate::core::State;
use crate::launch::RunFolder;
use crate::manager::RUNS;
use crate::store::journal::{History, Open};
use crate::yaml::Map;

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
            print::error(error.as_ref());
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
    let given = [
        open.last_event.as_ref().map(|event| event.number),
        open.runs.last().map(|run| run.id),
        open.joins.last().map(|join| join.id),
        open.holds.last().map(|hold| hold.id),
    ];
    let last_number = given.into_iter().flatten().max().unwrap_or_default().0;
    State::recovered(Arc::new(config.clone()), checklist, open.changes(), last_number)
}
