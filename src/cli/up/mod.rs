//! `nowcast up`: supervises every daemon of the system. It never decides a message itself.

mod detach;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::config_file::ConfigArgument;
use super::manager::StartOptions;
use super::{USAGE, print};
use crate::config::{self, Config, defaults};
use crate::log_publisher::Publishing;
use crate::signals::Signals;
use crate::supervise::{
    ControllingTerminal, Daemon, END_WITH, OutputFile, RunningUp, Supervisor, UpAccess, wait_for_previous,
};
use crate::{broker, log_aggregator, manager, scheduler};
use pylogging::{Logger, Role, Setup};

/// The name under which it logs.
const NAME: &str = "up";

/// The exit status if the system runs already.
pub(super) const RUNS_ALREADY: u8 = 3;

const EXIT_STATUS: &str = "\
Exit status: 0 when the system has stopped, or with --detach when all daemons are ready; 1 on failure; 2 if the command line or the \
configuration is invalid, or a daemon cannot start; 3 if the system runs already.";

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXIT_STATUS)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    pub config: ConfigArgument,
    #[command(flatten)]
    pub start: StartOptions,
    /// Append every message and its reply to this file, one line of JSON each
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Run in the background; return when all daemons are ready
    #[arg(short, long)]
    detach: bool,
    /// Run in a session of its own; the output goes to this file already
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "detach")]
    detached: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let run = if args.detach { detach::detach } else { supervise };
    match run(args) {
        Ok(status) => status,
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::from(USAGE)
        }
    }
}

/// Tell that the system runs already.
pub(super) fn runs_already(running: &RunningUp, args: &Args) -> ExitCode {
    let file = args.config.path();
    print::complain(&format!(
        "{running} runs this system already ({}); \"nowcast restart\" restarts its daemons, \"nowcast shutdown\" stops it",
        file.display()
    ));
    ExitCode::from(RUNS_ALREADY)
}

fn supervise(args: &Args) -> anyhow::Result<ExitCode> {
    if args.detached.is_some() {
        rustix::process::setsid().context("this process cannot leave its terminal")?;
    }
    let terminal = ControllingTerminal::at_start();
    let mut signals = Signals::install()?;
    let file = &args.config.path();
    let environment = defaults::defaults(file);
    let (config, _) = config::load(file)?;
    // The manager checks the launches, too, but its failed start would be repeated.
    if let Err(status) = args.start.launches(&config) {
        return Ok(status);
    }
    config.make_default_log_folder()?;
    let addresses = config.log_addresses_of_daemon(NAME);
    let (setup, _) = if addresses.is_empty() {
        Setup::from_value(&config.logging, Role::Daemon)?
    } else {
        Setup::publishing(&config.logging, Role::Daemon, &Publishing::of(&config, NAME, addresses))?
    };
    pylogging::install(setup);
    let log = Logger::new(NAME);
    let access = match UpAccess::open(&config.journal.folder, args.detached.clone(), &log) {
        Ok(Ok(access)) => Some(access),
        Ok(Err(running)) => return Ok(runs_already(&running, args)),
        Err(error) => {
            log.error(format_args!("restart, reload and shutdown cannot reach this system: {error}"));
            None
        }
    };
    if !wait_for_previous(file, &mut signals, &log)? {
        return Ok(ExitCode::SUCCESS);
    }
    let output = args.detached.clone().map(OutputFile::new);
    let supervisor = Supervisor::start(daemons(args, &config)?, environment, access, output, log)?;
    Ok(ExitCode::from(supervisor.run(&mut signals, terminal)?))
}

fn daemons(args: &Args, config: &Config) -> anyhow::Result<Vec<Daemon>> {
    let program = env::current_exe().context("the path of this program cannot be found out")?;
    let argv = |daemon: &str, task: &[String]| -> Vec<String> {
        let file = args.config.path().to_string_lossy().into_owned();
        let parent = std::process::id().to_string();
        let mut argv = vec![program.to_string_lossy().into_owned(), daemon.to_owned(), file];
        argv.extend([END_WITH.to_owned(), parent]);
        argv.extend_from_slice(task);
        argv
    };
    // Only the first start gets the launches, so that a restart does not repeat them.
    let (launch, exit) = args.start.to_options();
    let record = args.record.as_ref();
    let record = record.map_or(Vec::new(), |file| vec!["--record".to_owned(), file.display().to_string()]);
    let broker = argv("broker", &record);
    let mut daemons = vec![
        Daemon {
            name: broker::NAME,
            command: "broker",
            first: broker.clone(),
            restart: broker,
            is_last: false,
        },
        Daemon {
            name: manager::NAME,
            command: "manager",
            first: argv("manager", &[launch, exit.clone()].concat()),
            restart: argv("manager", &[]),
            is_last: !exit.is_empty(),
        },
    ];
    let mut more = |name, command, task: &[String]| {
        let argv = argv(command, task);
        daemons.push(Daemon { name, command, first: argv.clone(), restart: argv, is_last: false });
    };
    if !config.scheduled.is_empty() {
        more(scheduler::NAME, "scheduler", &["--with-manager".to_owned()]);
    }
    if config.aggregates_logs() {
        // It exits last, so that it logs the last lines of the others.
        more(log_aggregator::NAME, "log-aggregator", &[]);
    }
    Ok(daemons)
}
