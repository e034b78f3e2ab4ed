//! `nowcast scheduler`

use std::process::ExitCode;

use anyhow::Context;

use super::daemon;
use crate::scheduler::{LaunchedBy, NAME, Scheduler};
use pylogging::Logger;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: daemon::Args,
    /// Launch workers without the manager, for use beside NEMO_Nowcast's manager
    #[arg(long)]
    alone: bool,
    /// Launch through the manager, even without a journal
    #[arg(long, hide = true, conflicts_with = "alone")]
    with_manager: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let log = Logger::new(NAME);
    let (config, mut signals) = match daemon::set_up(&args.daemon, &log) {
        Ok(ready) => ready,
        Err(status) => return status,
    };
    let file = config.file.clone();
    let mut work = || -> anyhow::Result<()> {
        let program = std::env::current_exe().context("the path of this program cannot be found out")?;
        let launched_by = match (args.alone, args.with_manager) {
            (true, _) => Some(LaunchedBy::Scheduler),
            (false, true) => Some(LaunchedBy::Manager),
            (false, false) => None,
        };
        let mut scheduler = Scheduler::new(config.clone(), launched_by, program, log.clone())?;
        scheduler.run(&mut signals, &mut || daemon::reload(&file, &log))?;
        Ok(())
    };
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            daemon::log_fatal(&log, error.as_ref());
            ExitCode::FAILURE
        }
    }
}
