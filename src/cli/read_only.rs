//! The common part of the commands that only read the journal. They must never need a manager.

use std::process::ExitCode;

use super::operate::CommonOptions;
use super::print;
use crate::clock::MachineClock;
use crate::store::journal::{EventFilter, History, RunFilter};
pub(super) use crate::view::context::ViewContext;
use error_text::did_you_mean;

impl CommonOptions {
    /// Open the journal and print a view of it. An error is printed; the exit status is then 1, or 2 for an invalid
    /// configuration.
    pub(super) fn view(&self, print: impl FnOnce(&ViewContext) -> anyhow::Result<ExitCode>) -> ExitCode {
        let config = match self.load() {
            Ok(config) => config,
            Err(status) => return status,
        };
        let done = History::open(&config.journal.folder)
            .map_err(anyhow::Error::from)
            .and_then(|history| print(&ViewContext::new(config, history, MachineClock::new().read())?));
        done.unwrap_or_else(|error| {
            print::error(error.as_ref());
            ExitCode::FAILURE
        })
    }
}

/// Refuse a worker that neither the message registry nor the journal knows.
pub(super) fn check_worker(name: &str, context: &ViewContext) -> anyhow::Result<()> {
    let worker = Some(name.to_owned());
    let runs = RunFilter { worker: worker.clone(), limit: Some(1), ..RunFilter::default() };
    let messages = EventFilter { worker, limit: Some(1), ..EventFilter::default() };
    let registered = &context.config.registry.workers;
    let is_known = registered.contains_key(name)
        || !context.history.runs(&runs)?.is_empty()
        || !context.history.events(&messages)?.is_empty();
    anyhow::ensure!(is_known, "there is no worker {name:?}{}", did_you_mean(name, registered.keys()));
    Ok(())
}
