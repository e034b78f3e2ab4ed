//! `nowcast worker NAME`

use std::process::ExitCode;

use clap::Subcommand;

use crate::worker::{self, Common, Worker, awaken, clear_checklist, rotate_logs, sleep};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    worker: BuiltIn,
}

#[derive(Debug, Clone, Subcommand)]
#[command(rename_all = "snake_case")]
enum BuiltIn {
    Sleep(With<sleep::Sleep>),
    Awaken(With<awaken::Awaken>),
    ClearChecklist(With<clear_checklist::ClearChecklist>),
    RotateLogs(With<rotate_logs::RotateLogs>),
}

/// A worker's own options and those that all have.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct With<W: clap::Args> {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    worker: W,
}

impl<W: clap::Args + Worker> With<W> {
    fn run(&self) -> ExitCode {
        worker::run(&self.worker, &self.common)
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
