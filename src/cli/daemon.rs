//! The common part of the daemons' commands: configuration, logging and the first log lines.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use super::USAGE;
use super::config_file::ConfigArgument;
use super::print;
use crate::config::{self, Config, Problem, Severity};
use crate::log_publisher::Publishing;
use crate::notify::sentry;
use crate::signals::Signals;
use crate::supervise;
use error_text::with_causes;
use pylogging::{Logger, Role, Setup};

/// The command line of a daemon.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Exit when this process, which started this one, exits
    #[arg(long, value_name = "PID", hide = true)]
    pub end_with: Option<u32>,
}

/// Read the configuration, set up logging and log both, as NEMO_Nowcast's daemons do. If the configuration is invalid,
/// print why and return the exit status.
///
/// Signal handlers are installed first, so that a signal during the start is not lost.
pub(super) fn set_up(args: &Args, log: &Logger) -> Result<(Config, Signals), ExitCode> {
    set_up_as(Role::Daemon, args, log)
}

/// Set up the log aggregator in the same way, with its own part of the logging section.
pub(super) fn set_up_aggregator(args: &Args, log: &Logger) -> Result<(Config, Signals), ExitCode> {
    set_up_as(Role::Aggregator, args, log)
}

fn set_up_as(role: Role, args: &Args, log: &Logger) -> Result<(Config, Signals), ExitCode> {
    let fail = |error: &dyn Display| {
        print::complain(&error.to_string());
        ExitCode::from(USAGE)
    };
    let signals = Signals::install().map_err(|error| fail(&error))?;
    if let Some(parent) = args.end_with {
        supervise::end_with_parent(parent).map_err(|error| fail(&error))?;
    }
    let (config, problems) = config::load(&args.config.path()).map_err(|error| fail(&error))?;
    config.make_default_log_folder().map_err(|error| fail(&error))?;
    start_logging(role, &config, &problems, log).map_err(|error| fail(&error))?;
    Ok((config, signals))
}

/// Reload the configuration on SIGHUP. If it is invalid, log the reason and return it: the previous configuration
/// stays in force.
pub(super) fn reload(file: &Path, log: &Logger) -> Result<Config, String> {
    reload_as(Role::Daemon, file, log)
}

/// Reload the configuration of the log aggregator in the same way.
pub(super) fn reload_aggregator(file: &Path, log: &Logger) -> Result<Config, String> {
    reload_as(Role::Aggregator, file, log)
}

fn reload_as(role: Role, file: &Path, log: &Logger) -> Result<Config, String> {
    let refuse = |error: &dyn Display| {
        let text = format!("the new configuration is refused, the old one stays:\n{error}");
        log.critical(&text);
        text
    };
    let (config, problems) = config::load(file).map_err(|error| refuse(&error))?;
    start_logging(role, &config, &problems, log).map_err(|error| refuse(&error))?;
    Ok(config)
}

fn start_logging(
    role: Role,
    config: &Config,
    problems: &[Problem],
    log: &Logger,
) -> Result<(), pylogging::SetupError> {
    let addresses = config.log_addresses_of_daemon(log.name());
    let publishing = Publishing::of(config, log.name(), addresses);
    let (setup, mut warnings) = Setup::publishing(&config.logging, role, &publishing)?;
    // The aggregator logs what others have reported.
    let (sentry, warning) =
        if role == Role::Aggregator { (None, None) } else { sentry::from_environment(log.name())? };
    warnings.extend(warning);
    // NEMO_Nowcast's aggregator does not log where its own lines go.
    let first_line = setup.first_line("logging messages").filter(|_| role != Role::Aggregator);
    pylogging::install(setup.observed_by(sentry::LEVEL, sentry));
    log.info(format_args!("running in process {}", std::process::id()));
    log.info(format_args!("read config from {}", config.file.display()));
    if let Some(line) = first_line {
        log.info(line);
    }
    for warning in warnings {
        log.warning(warning);
    }
    for problem in problems.iter().filter(|problem| problem.severity >= Severity::Warning) {
        log.warning(problem);
    }
    Ok(())
}

/// Log why a daemon exits without having been stopped.
pub(super) fn log_fatal(log: &Logger, error: &dyn std::error::Error) {
    log.critical(with_causes(error));
    log.critical("shutting down");
}
