//! `nowcast worker NAME`

use std::process::ExitCode;

use clap::Subcommand;

use super::config_file::ConfigArgument;
use crate::worker::{self, Worker, awaken, clear_checklist, rotate_logs, sleep};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    worker: BuiltIn,
}

#[derive(Debug, Clone, Subcommand)]
#[command(rename_all = "snake_case")]
enum BuiltIn {
    /// Sleep for a number of seconds
    Sleep(BuiltInCommand<sleep::Sleep>),
    /// Report success immediately
    Awaken(BuiltInCommand<awaken::Awaken>),
    /// Log the checklist, then clear it
    ClearChecklist(BuiltInCommand<clear_checklist::ClearChecklist>),
    /// Rotate the log files
    RotateLogs(BuiltInCommand<rotate_logs::RotateLogs>),
}

/// The options of every worker.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct WorkerOptions {
    #[command(flatten)]
    config: ConfigArgument,
    /// Log to the console and send nothing to the manager
    #[arg(long)]
    debug: bool,
}

impl WorkerOptions {
    pub(super) fn run(&self, worker: &dyn Worker) -> ExitCode {
        worker::run(worker, &self.config.path(), self.debug)
    }
}

/// A worker's own options and those of every worker.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct BuiltInCommand<W: clap::Args> {
    #[command(flatten)]
    common: WorkerOptions,
    #[command(flatten)]
    worker: W,
}

impl<W: clap::Args + Worker> BuiltInCommand<W> {
    fn run(&self) -> ExitCode {
        self.common.run(&self.worker)
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    match &args.worker {
        BuiltIn::Sleep(worker) => worker.run(),
        BuiltIn::Awaken(worker) => worker.run(),
        BuiltIn::ClearChecklist(worker) => worker.run(),
        BuiltIn::RotateLogs(worker) => worker.run(),
    }
}
