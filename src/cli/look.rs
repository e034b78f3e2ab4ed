//! What the commands that only look have in common.

use std::process::ExitCode;

use jiff::ZonedDateTime;

use super::operate::Common;
use super::print;
use crate::store::journal::{EventFilter, History, RunFilter};
use crate::suggest::did_you_mean;
pub(super) use crate::view::look::{Look, state};

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

/// Refuse a worker that neither the message registry nor the journal knows.
pub(super) fn check_worker(name: &str, look: &Look) -> anyhow::Result<()> {
    let worker = Some(name.to_owned());
    let runs = RunFilter { worker: worker.clone(), limit: Some(1), ..RunFilter::default() };
    let messages = EventFilter { worker, limit: Some(1), ..EventFilter::default() };
    let registered = &look.config.registry.workers;
    let is_known = registered.contains_key(name)
        || !look.history.runs(&runs)?.is_empty()
        || !look.history.events(&messages)?.is_empty();
    anyhow::ensure!(is_known, "no such worker: {name:?}{}", did_you_mean(name, registered.keys()));
    Ok(())
}
