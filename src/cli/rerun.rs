//! `nowcast rerun RUN [ARGS]…`

use std::process::ExitCode;

use super::operate::{CommonOptions, run_number};
use super::{USAGE, print, words};
use crate::store::History;
use nowcast_core::{Command, CycleOption, NextWorker, Number};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(override_usage = "nowcast rerun [OPTIONS] <RUN> [ARGS]...")]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of the run, then arguments for the worker in place of the previous ones
    #[arg(required = true, num_args = 1.., value_names = ["RUN", "ARGS"], trailing_var_arg = true, allow_hyphen_values = true)]
    run: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    rerun(args).unwrap_or_else(|status| status)
}

fn rerun(args: &Args) -> Result<ExitCode, ExitCode> {
    let (run, worker_args) = words::split("rerun", &args.run)?;
    let run = run_number(run).map_err(|error| {
        print::complain(&error);
        ExitCode::from(USAGE)
    })?;
    let config = args.common.load()?;
    let (worker, origin) = History::open(&config.journal.folder)
        .map_err(anyhow::Error::from)
        .and_then(|history| worker(&history, run, worker_args))
        .map_err(|error| {
            print::error(error.as_ref());
            ExitCode::FAILURE
        })?;
    Ok(args.common.ask(Command::Launch { worker, rerun_of: Some(run), origin: Some(origin) }))
}

/// Return the launch of the run's worker in the same cycle, without its delay, and the first run of its chain.
fn worker(history: &History, number: Number, args: &[String]) -> anyhow::Result<(NextWorker, Number)> {
    let Some(run) = history.run(number)? else {
        anyhow::bail!("there is no run {number}; \"nowcast runs\" lists runs");
    };
    let name = run.worker.name();
    if run.is_running() {
        anyhow::bail!("{name} (run {number}) is still running; \"nowcast kill {}\" stops it", number.0);
    }
    if run.has_succeeded().is_none() && !run.is_closed() {
        anyhow::bail!("{name} (run {number}) is pending; \"nowcast why {}\" shows what blocks it", number.0);
    }
    let origin = run.chain();
    let mut worker = run.worker;
    (worker.options.delay, worker.options.at, worker.location) = (None, None, None);
    worker.options.cycle = Some(CycleOption::same_as(run.cycle.as_ref()));
    if !args.is_empty() {
        worker.args = args.to_vec();
    }
    Ok((worker, origin))
}
