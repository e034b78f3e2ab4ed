//! `nowcast up`: supervises every daemon of the system. It never decides a message itself.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::USAGE;
use super::config_file::ConfigArgument;
use super::manager::StartOptions;
use super::print;
use crate::config::{self, Config, defaults};
use crate::log_publisher::Publishing;
use crate::signals::Signals;
use crate::supervise::{ControllingTerminal, Daemon, END_WITH, Supervisor, wait_for_previous};
use crate::{broker, log_aggregator, manager, scheduler};
use pylogging::{Logger, Role, Setup};

/// The name under which it logs.
const NAME: &str = "up";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgument,
    #[command(flatten)]
    start: StartOptions,
    /// Append every message and its reply to this file, one line of JSON each
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match supervise(args) {
        Ok(status) => status,
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::from(USAGE)
        }
    }
}

fn supervise(args: &Args) -> anyhow::Result<ExitCode> {
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
    if !wait_for_previous(file, &mut signals, &log)? {
        return Ok(ExitCode::SUCCESS);
    }
    let is_broker_ready = Box::new(broker_readiness(config.journal.folder.clone()));
    let supervisor = Supervisor::start(daemons(args, &config)?, environment, is_broker_ready, log)?;
    Ok(ExitCode::from(supervisor.run(&mut signals, terminal)?))
}

/// Return the function that tells whether our broker has bound its ports.
fn broker_readiness(journal: PathBuf) -> impl Fn() -> bool {
    let is_running = move || broker::noted_state(&journal).is_some();
    // If there is another broker already, ours cannot bind its ports.
    let is_other = is_running();
    move || !is_other && is_running()
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
        Daemon { name: broker::NAME, first: broker.clone(), restart: broker, is_last: false },
        Daemon {
            name: manager::NAME,
            first: argv("manager", &[launch, exit.clone()].concat()),
            restart: argv("manager", &[]),
            is_last: !exit.is_empty(),
        },
    ];
    let mut more = |name, command, task: &[String]| {
        let argv = argv(command, task);
        daemons.push(Daemon { name, first: argv.clone(), restart: argv, is_last: false });
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
