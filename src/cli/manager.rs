//! `nowcast manager`

use std::process::ExitCode;

use super::{USAGE, daemon};
use crate::manager::{Manager, ManagerError, NAME, Options};
use nowcast_core::next_worker::name_problem;
use nowcast_core::{Command, Event, NextWorker};
use pylogging::Logger;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: daemon::Args,
    /// Start with an empty checklist
    #[arg(long)]
    ignore_checklist: bool,
    #[command(flatten)]
    task: StartOptions,
}

/// What makes a manager do one thing and end.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct StartOptions {
    /// Launch this worker at the start, with arguments inside the quotes: 'sleep --sleep-time 1'
    #[arg(long, value_name = "WORKER", value_parser = check_worker)]
    launch: Vec<String>,
    /// Exit when nothing runs, waits or is due; the exit status is 1 if anything crashed
    #[arg(long, requires = "launch")]
    exit_when_idle: bool,
}

impl StartOptions {
    /// The options again, to hand them on: the launches, and whether to end.
    pub(super) fn to_options(&self) -> (Vec<String>, Vec<String>) {
        let launches = self.launch.iter().flat_map(|worker| ["--launch".to_owned(), worker.clone()]);
        let exit = self.exit_when_idle.then(|| "--exit-when-idle".to_owned());
        (launches.collect(), exit.into_iter().collect())
    }

    fn launches(&self) -> Vec<Event> {
        let workers = self.launch.iter().filter_map(|text| worker(text).ok());
        workers
            .map(|worker| Event::Command {
                call: None,
                user: "command line".to_owned(),
                command: Command::Launch { worker, again: None },
                checklist_then: None,
            })
            .collect()
    }
}

fn check_worker(text: &str) -> Result<String, String> {
    worker(text).map(|_| text.to_owned())
}

fn worker(text: &str) -> Result<NextWorker, String> {
    let mut words = shlex::split(text).ok_or("a quote is not closed")?.into_iter();
    let module = words.next().ok_or("the name of a worker is missing")?;
    name_problem("the worker's module", &module).map_or(Ok(()), Err)?;
    Ok(NextWorker::new(module, words.collect()))
}

pub(super) fn run(args: &Args) -> ExitCode {
    let log = Logger::new(NAME);
    let (config, mut signals) = match daemon::set_up(&args.daemon, &log) {
        Ok(ready) => ready,
        Err(status) => return status,
    };
    let file = config.file.clone();
    let options =
        Options { ignore_checklist: args.ignore_checklist, exit_when_idle: args.task.exit_when_idle };
    let launches = args.task.launches();
    let work = || -> anyhow::Result<u8> {
        let mut manager = match Manager::start(config, options, std::env::current_exe()?, log.clone()) {
            // Without its journal a manager cannot work, however often it is started; there may be room on the disk
            // later.
            Err(ManagerError::Journal(error)) if !error.is_full() => {
                daemon::give_up(&log, &error);
                return Ok(USAGE);
            }
            started => started?,
        };
        Ok(manager.run(launches, &mut signals, &mut || daemon::read_again(&file, &log))?)
    };
    work().map_or_else(
        |error| {
            daemon::give_up(&log, error.as_ref());
            ExitCode::FAILURE
        },
        ExitCode::from,
    )
}
