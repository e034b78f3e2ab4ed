//! The command line: one file for each command. Only this module knows all others.

mod act;
mod bounded;
mod broker;
mod checklist;
mod config;
mod daemon;
mod doctor;
mod dry_run;
mod environment;
mod exec;
mod fetch;
mod generate;
mod keys;
mod launch;
mod log_aggregator;
mod look;
mod manager;
mod messages;
mod need;
mod operate;
mod print;
mod requirements;
mod rerun;
mod rules;
mod runner;
mod runs;
mod scheduler;
mod send;
mod status;
mod table;
mod tail;
mod tell;
mod times;
mod up;
mod why;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{failpoint, logging};

/// Exit status of a command that could not do its work because of how it was called or configured,
/// clap's own for a wrong command line.
const USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "nowcast", version, about, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit status: 0 when all went well, 1 when something failed, 2 when the command line or \
                          the configuration cannot be used.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system: every daemon that the configuration asks for, started again when it dies
    Up(up::Args),
    /// Run the message broker
    Broker(broker::Args),
    /// Run the manager
    Manager(manager::Args),
    /// Have workers launched when their time comes
    Scheduler(scheduler::Args),
    /// Run the log aggregator: log what all other programs publish
    LogAggregator(log_aggregator::Args),
    /// Run a built-in worker
    Worker(worker::Args),
    /// Run any command as a worker
    Exec(exec::Args),
    /// Tell the manager something in a worker's name, from within its script
    Tell(tell::Args),
    /// Ask the manager for a part of the checklist, from within a worker's script
    Need(need::Args),
    /// Download a file, and try again while it is not there
    Fetch(fetch::Args),
    /// Run one worker to its end for the manager
    #[command(hide = true)]
    Runner(runner::Args),
    /// What needs attention, what runs, what waits
    Status(status::Args),
    /// Why something ran, or why it did not, and what helps
    Why(why::Args),
    /// The runs of workers, the newest first
    Runs(runs::Args),
    /// The messages of workers and what was made of them, the newest first
    Messages(messages::Args),
    /// What a run wrote to its output
    Tail(tail::Args),
    /// Launch a worker now, or when its time comes
    Launch(launch::Args),
    /// Run a run again, with its arguments or others
    Rerun(rerun::Args),
    /// Speak for a worker
    Send(send::Args),
    /// Decide a parked message again, after the repair
    Retry(act::Retry),
    /// End a run: TERM, and KILL if that does not do it
    Kill(act::Kill),
    /// Let launches wait; nothing is lost
    Hold(act::Hold),
    /// Let go: a hold, parked launches, a join, a run that waits
    Release(act::What),
    /// Discard a parked message, parked or pending launches, or a join
    Discard(act::What),
    /// Look at the checklist, now or at an earlier event, or change it
    Checklist(checklist::Args),
    /// Rules before they go live: try them, without a manager
    Rules(rules::Args),
    /// Files for other programs
    Generate(generate::Args),
    /// Look at the configuration
    Config(config::Args),
    /// Whether everything that the system needs is there, here and on the hosts, and what to do where it is not
    Doctor(doctor::Args),
}

/// The configuration file of a command.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct ConfigFile {
    /// nowcast's configuration file
    #[arg(value_name = "CONFIG", env = "NOWCAST_YAML", default_value = "nowcast.yaml")]
    file: PathBuf,
}

/// Return the definition of the command line: every command with its options and help.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Parses the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    failpoint::set_up();
    let status = command(Cli::parse().command);
    logging::finish();
    status
}

fn command(command: Command) -> ExitCode {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Broker(args) => broker::run(&args),
        Command::Manager(args) => manager::run(&args),
        Command::Scheduler(args) => scheduler::run(&args),
        Command::LogAggregator(args) => log_aggregator::run(&args),
        Command::Worker(args) => worker::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Tell(args) => tell::run(&args),
        Command::Need(args) => need::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Runner(args) => runner::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Messages(args) => messages::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Rerun(args) => rerun::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Checklist(args) => checklist::run(&args),
        Command::Launch(args) => launch::run(&args),
        Command::Retry(args) => args.run(),
        Command::Kill(args) => args.run(),
        Command::Hold(args) => args.run(),
        Command::Release(args) => args.release(),
        Command::Discard(args) => args.discard(),
        Command::Rules(args) => rules::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::definition().debug_assert();
    }
}
