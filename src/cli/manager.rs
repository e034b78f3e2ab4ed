//! `nowcast manager`

use std::process::ExitCode;

use super::operate::requested_launch;
use super::{USAGE, cycle_option, daemon};
use crate::config::Config;
use crate::manager::{Manager, ManagerError, NAME, Options};
use nowcast_core::next_worker::name_problem;
use nowcast_core::{Command, CycleOption, Event};
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
    start: StartOptions,
}

/// The tasks of a manager at its start, and whether it then exits.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct StartOptions {
    /// Launch this worker at the start; quote it with its arguments: 'sleep --sleep-time 1'; repeatable
    #[arg(long, value_name = "WORKER", value_parser = check_worker)]
    launch: Vec<String>,
    /// Cycle of these launches, or none
    #[arg(long, value_name = "ID|none", value_parser = cycle_option::option, requires = "launch")]
    cycle: Option<CycleOption>,
    /// Allow workers that are not in the message registry; their messages are refused
    #[arg(long, requires = "launch")]
    unregistered: bool,
    /// Exit when no run is open and no timer is due; with status 1 if a run crashed
    #[arg(long, requires = "launch")]
    exit_when_idle: bool,
}

impl StartOptions {
    /// Return the options for the manager that `nowcast up` starts: the launches, and whether to exit.
    pub(super) fn to_options(&self) -> (Vec<String>, Vec<String>) {
        let launches = self.launch.iter().flat_map(|worker| ["--launch".to_owned(), worker.clone()]);
        let cycle = self.cycle.iter().flat_map(|cycle| ["--cycle".to_owned(), cycle.to_string()]);
        let unregistered = self.unregistered.then(|| "--unregistered".to_owned());
        let exit = self.exit_when_idle.then(|| "--exit-when-idle".to_owned());
        (launches.chain(cycle).chain(unregistered).collect(), exit.into_iter().collect())
    }

    /// Return the launches as events. A worker that is not registered is refused, unless `--unregistered` is given.
    pub(super) fn launches(&self, config: &Config) -> Result<Vec<Event>, ExitCode> {
        let named = self.launch.iter().filter_map(|text| words(text).ok());
        named
            .map(|(name, args)| {
                let mut worker = requested_launch(&name, &args, config, self.unregistered)?;
                worker.options.cycle.clone_from(&self.cycle);
                Ok(Event::Command {
                    call: None,
                    user: "command line".to_owned(),
                    command: Command::Launch { worker, rerun_of: None, origin: None },
                    historical_checklist: None,
                })
            })
            .collect()
    }
}

fn check_worker(text: &str) -> Result<String, String> {
    words(text).map(|_| text.to_owned())
}

/// Return the worker's name and its arguments.
fn words(text: &str) -> Result<(String, Vec<String>), String> {
    let mut words = shlex::split(text).ok_or("a quote is not closed")?.into_iter();
    let name = words.next().ok_or("the name of a worker is missing")?;
    name_problem("the worker's module", &name).map_or(Ok(()), Err)?;
    Ok((name, words.collect()))
}

pub(super) fn run(args: &Args) -> ExitCode {
    let log = Logger::new(NAME);
    let (config, mut signals) = match daemon::set_up(&args.daemon, &log) {
        Ok(ready) => ready,
        Err(status) => return status,
    };
    let file = config.file.clone();
    let options =
        Options { ignore_checklist: args.ignore_checklist, exit_when_idle: args.start.exit_when_idle };
    let launches = match args.start.launches(&config) {
        Ok(launches) => launches,
        Err(status) => return status,
    };
    let work = || -> anyhow::Result<u8> {
        let mut manager = match Manager::start(config, options, std::env::current_exe()?, log.clone()) {
            // A broken journal stays broken, so another start would not help; a full disk may have room later.
            Err(ManagerError::Journal(error)) if !error.is_full() => {
                daemon::log_fatal(&log, &error);
                return Ok(USAGE);
            }
            started => started?,
        };
        match manager.run(launches, &mut signals, &mut || daemon::reload(&file, &log)) {
            // As with a port that is in use, a person at its start is told at once.
            Err(error @ ManagerError::Refused { was_admitted: false, .. }) => {
                daemon::log_fatal(&log, &error);
                Ok(USAGE)
            }
            ended => Ok(ended?),
        }
    };
    work().map_or_else(
        |error| {
            daemon::log_fatal(&log, error.as_ref());
            ExitCode::FAILURE
        },
        ExitCode::from,
    )
}
