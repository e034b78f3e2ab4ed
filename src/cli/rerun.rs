//! `nowcast rerun RUN [ARGS]…`

use std::process::ExitCode;

use super::operate::{Common, number};
use super::print;
use crate::core::{Command, NextWorker, Number};
use crate::store::History;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// The number of a run
    #[arg(value_parser = number)]
    run: Number,
    /// Other arguments than it had
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let worker = History::open(&config.journal.folder)
        .map_err(anyhow::Error::from)
        .and_then(|history| worker(&history, args));
    match worker {
        Ok(worker) => args.common.ask(Command::Launch { worker, again: Some(args.run) }),
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// What is to be launched: as the run was, but at once.
fn worker(history: &History, args: &Args) -> anyhow::Result<NextWorker> {
    let number = args.run;
    let Some(run) = history.run(number)? else {
        anyhow::bail!("there is no run {number}; nowcast runs shows which there are");
    };
    let name = run.worker.name();
    if run.is_running() {
        anyhow::bail!("{name} (run {number}) is still running; nowcast kill {} ends it", number.0);
    }
    if run.ended_well().is_none() && !run.is_closed() {
        anyhow::bail!("{name} (run {number}) waits to be launched; nowcast why {} says for what", number.0);
    }
    let mut worker = run.worker;
    (worker.options.delay, worker.options.at, worker.place) = (None, None, None);
    if !args.args.is_empty() {
        worker.args.clone_from(&args.args);
    }
    Ok(worker)
}
