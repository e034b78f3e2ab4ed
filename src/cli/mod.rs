//! The command line: one file for each command. Only this module may import every other; it never decides what a
//! message means.

mod ack;
mod act;
mod backfill;
mod backtest;
mod backup;
mod bounded;
mod broker;
mod bulk;
mod checklist;
mod complete;
mod config;
mod config_file;
mod config_show;
mod confirm;
mod csv_output;
mod cycle;
mod cycle_option;
mod cycles;
mod daemon;
mod doctor;
mod dry_run;
mod exec;
mod fetch;
mod forecast;
mod forecaster;
mod generate;
mod help;
mod init;
mod journal;
mod key_files;
mod keys;
mod launch;
mod log_aggregator;
mod logs;
mod manager;
mod messages;
mod need;
mod notify;
mod operate;
mod pages;
mod print;
mod read_only;
mod reload;
mod requirements;
mod rerun;
mod restart;
mod restore;
mod rewind;
mod rules;
mod runner;
mod runs;
mod scheduler;
mod send;
mod shutdown;
mod started_by;
mod states;
mod status;
mod table;
mod tail;
mod tell;
mod terminal;
mod times;
mod up;
mod up_request;
mod why;
mod words;
mod worker;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{failpoint, version};

/// The exit status of a command with an invalid command line or configuration; clap uses the same.
const USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "nowcast", version, long_version = version::long(), about, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

const EXIT_CODES: &str = "\
Run \"nowcast COMMAND --help\" for the options of a command.

Exit status: 0 on success, 1 on failure, 2 if the command line or the configuration is invalid.";

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Make a new system, or add a worker to one
    Init(init::Args),
    /// Run the whole system; restart daemons that exit
    Up(up::Args),
    /// Restart daemons; workers continue
    Restart(restart::Args),
    /// Reload configuration and rules in all daemons
    Reload(reload::Args),
    /// Stop the whole system; workers continue
    Shutdown(shutdown::Args),
    /// Run the message broker
    Broker(broker::Args),
    /// Run the manager
    Manager(manager::Args),
    /// Run the scheduler: request launches when they are due
    Scheduler(scheduler::Args),
    /// Run the log aggregator: collect the logs of all programs
    LogAggregator(log_aggregator::Args),
    /// Run a built-in worker
    Worker(worker::Args),
    /// Run any command as a worker
    Exec(exec::Args),
    /// Send a message to the manager from a worker's script
    Tell(tell::Args),
    /// Print a part of the checklist from a worker's script
    Need(need::Args),
    /// Download a file; retry until it is available
    Fetch(fetch::Args),
    /// Run one worker for the manager until it exits
    #[command(hide = true)]
    Runner(runner::Args),
    /// Make a forecast of the expected messages for the manager
    #[command(hide = true)]
    Forecaster(forecaster::Args),
    /// Show items that need attention, and running, pending and scheduled work
    Status(status::Args),
    /// Explain why a worker ran or did not run, and what to do
    Why(why::Args),
    /// List runs, newest first
    Runs(runs::Args),
    /// List messages and their outcomes, newest first
    Messages(messages::Args),
    /// Print the end of the output of a run
    Tail(tail::Args),
    /// Show the log files of the system, also rotated ones
    Logs(logs::Args),
    /// Launch a worker, now or later
    Launch(launch::Args),
    /// Launch the worker of a run again
    Rerun(rerun::Args),
    /// Send a message on behalf of a worker
    Send(send::Args),
    /// Decide parked messages again after fixing their rule
    Retry(act::RetryArgs),
    /// Stop a run, or those of a cycle: send SIGTERM, then SIGKILL
    Kill(act::KillArgs),
    /// Acknowledge failed runs, so that they no longer degrade the system
    Ack(ack::Args),
    /// List cycles, the latest first
    Cycles(cycles::Args),
    /// Show a cycle: its runs and joins, what is open and what is still to come; cancel, resume or skip it
    Cycle(cycle::Args),
    /// Predict runs and expected messages, from the past, the schedule and the rules
    Forecast(forecast::Args),
    /// Launch a worker once for each date, each in a cycle of its own
    Backfill(backfill::Args),
    /// Pause launches of a worker, of a cycle, on a host, or all
    Hold(act::HoldArgs),
    /// End a hold; launch parked or pending launches, or those of a join
    Release(act::NumberArgs),
    /// Discard a parked message, parked or pending launches, or a join
    Discard(act::NumberArgs),
    /// Show or change the checklist
    Checklist(checklist::Args),
    /// Show, check, prune or compact the journal
    Journal(journal::Args),
    /// Copy the journal into one file, also while the manager runs
    Backup(backup::Args),
    /// Replace the journal with a backup; the manager must be stopped
    Restore(restore::Args),
    /// Check, test, replay and deploy rules
    Rules(rules::Args),
    /// Make the key files that encrypt connections
    Keys(key_files::Args),
    /// Generate files for editors, shells and man
    Generate(generate::Args),
    /// Test the targets of notifications
    Notify(notify::Args),
    /// Check the configuration
    Config(config::Args),
    /// Check that everything the system needs is available
    Doctor(doctor::Args),
}

/// Return the definition of the command line: every command with its options and help.
#[must_use]
pub fn definition() -> clap::Command {
    help::grouped(Cli::command())
}

/// Parse the command line and run the command.
#[must_use]
pub fn run() -> ExitCode {
    complete::complete_if_asked();
    failpoint::set_up();
    pylogging::name_program("nowcast");
    let cli = definition().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let status = match cli {
        Ok(cli) => command(cli.command),
        Err(error) => without_hidden(error).exit(),
    };
    pylogging::finish();
    status
}

/// Remove hidden commands and options from clap's suggestions of similar names.
fn without_hidden(mut error: clap::Error) -> clap::Error {
    let definition = definition();
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::SuggestedSubcommand) {
        let is_visible =
            |name: &String| definition.find_subcommand(name).is_none_or(|command| !command.is_hide_set());
        let names: Vec<String> = names.iter().filter(|name| is_visible(name)).cloned().collect();
        if names.is_empty() {
            // The other one is an empty list beside it, for which clap prints an empty line.
            error.remove(ContextKind::SuggestedSubcommand);
            error.remove(ContextKind::Suggested);
        } else {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(names));
        }
    }
    if let Some(ContextValue::String(option)) = error.get(ContextKind::SuggestedArg)
        && is_hidden_option(option.trim_start_matches("--"), &definition)
    {
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

/// Return whether an option is hidden in this command or one below it. clap does not tell for which it suggests the
/// option.
fn is_hidden_option(name: &str, command: &clap::Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some(name) && arg.is_hide_set())
        || command.get_subcommands().any(|below| is_hidden_option(name, below))
}

fn command(command: CliCommand) -> ExitCode {
    match command {
        CliCommand::Init(args) => init::run(&args),
        CliCommand::Up(args) => up::run(&args),
        CliCommand::Restart(args) => restart::run(&args),
        CliCommand::Reload(args) => reload::run(&args),
        CliCommand::Shutdown(args) => shutdown::run(&args),
        CliCommand::Broker(args) => broker::run(&args),
        CliCommand::Manager(args) => manager::run(&args),
        CliCommand::Scheduler(args) => scheduler::run(&args),
        CliCommand::LogAggregator(args) => log_aggregator::run(&args),
        CliCommand::Worker(args) => worker::run(&args),
        CliCommand::Exec(args) => exec::run(&args),
        CliCommand::Tell(args) => tell::run(&args),
        CliCommand::Need(args) => need::run(&args),
        CliCommand::Fetch(args) => fetch::run(&args),
        CliCommand::Runner(args) => runner::run(&args),
        CliCommand::Forecaster(args) => forecaster::run(&args),
        CliCommand::Status(args) => status::run(&args),
        CliCommand::Why(args) => why::run(&args),
        CliCommand::Runs(args) => runs::run(&args),
        CliCommand::Messages(args) => messages::run(&args),
        CliCommand::Tail(args) => tail::run(&args),
        CliCommand::Logs(args) => logs::run(&args),
        CliCommand::Rerun(args) => rerun::run(&args),
        CliCommand::Send(args) => send::run(&args),
        CliCommand::Checklist(args) => checklist::run(&args),
        CliCommand::Launch(args) => launch::run(&args),
        CliCommand::Retry(args) => args.run(),
        CliCommand::Kill(args) => args.run(),
        CliCommand::Ack(args) => ack::run(&args),
        CliCommand::Cycles(args) => cycles::run(&args),
        CliCommand::Cycle(args) => cycle::run(&args),
        CliCommand::Forecast(args) => forecast::run(&args),
        CliCommand::Backfill(args) => backfill::run(&args),
        CliCommand::Hold(args) => args.run(),
        CliCommand::Release(args) => args.release(),
        CliCommand::Discard(args) => args.discard(),
        CliCommand::Journal(args) => journal::run(&args),
        CliCommand::Backup(args) => backup::run(&args),
        CliCommand::Restore(args) => restore::run(&args),
        CliCommand::Rules(args) => rules::run(&args),
        CliCommand::Generate(args) => generate::run(&args),
        CliCommand::Keys(args) => key_files::run(&args),
        CliCommand::Notify(args) => notify::run(&args),
        CliCommand::Config(args) => config::run(&args),
        CliCommand::Doctor(args) => doctor::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Commands that print no results.
    const NO_RESULTS: [&str; 18] = [
        "init",
        "generate completions",
        "generate man",
        "generate schema",
        "up",
        "broker",
        "manager",
        "scheduler",
        "log-aggregator",
        "worker sleep",
        "worker awaken",
        "worker clear_checklist",
        "worker rotate_logs",
        "exec",
        "tell",
        "fetch",
        "runner",
        "forecaster",
    ];

    /// Commands that read no configuration.
    const NO_CONFIG: [&str; 6] =
        ["fetch", "runner", "init", "generate completions", "generate man", "generate schema"];

    /// Commands that take the configuration file as their first argument, too.
    const CONFIG_ARGUMENT: [&str; 11] = [
        "up",
        "broker",
        "manager",
        "scheduler",
        "log-aggregator",
        "worker sleep",
        "worker awaken",
        "worker clear_checklist",
        "worker rotate_logs",
        "exec",
        "config check",
    ];

    /// Return every command without subcommands, with its full name.
    fn commands() -> Vec<(String, clap::Command)> {
        fn visit(name: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
            if !command.has_subcommands() {
                found.push((name.to_owned(), command.clone()));
            }
            for command in command.get_subcommands() {
                visit(format!("{name} {}", command.get_name()).trim_start(), command, found);
            }
        }
        let mut found = Vec::new();
        visit("", &super::definition(), &mut found);
        found
    }

    /// Return the names of the commands that have an argument of this kind.
    fn commands_with(has: impl Fn(&clap::Arg) -> bool) -> BTreeSet<String> {
        let commands = commands().into_iter();
        commands.filter(|(_, command)| command.get_arguments().any(&has)).map(|(name, _)| name).collect()
    }

    fn all_but(names: &[&str]) -> BTreeSet<String> {
        commands().into_iter().map(|(name, _)| name).filter(|name| !names.contains(&name.as_str())).collect()
    }

    #[test]
    fn the_command_line_is_sound() {
        super::definition().debug_assert();
    }

    #[test]
    fn every_command_that_prints_results_takes_json() {
        assert_eq!(commands_with(|arg| arg.get_long() == Some("json")), all_but(&NO_RESULTS));
    }

    #[test]
    fn every_command_that_reads_the_configuration_takes_config() {
        let has_config = |arg: &clap::Arg| arg.get_long() == Some("config") && arg.get_short() == Some('c');
        assert_eq!(commands_with(has_config), all_but(&NO_CONFIG));
    }

    #[test]
    fn the_configuration_is_an_argument_only_where_it_is_one_in_nemo_nowcast() {
        let is_config = |arg: &clap::Arg| arg.is_positional() && arg.get_id() == "argument";
        assert_eq!(commands_with(is_config), CONFIG_ARGUMENT.map(str::to_owned).into());
    }

    #[test]
    fn a_hidden_command_is_not_suggested() {
        let error = super::definition().try_get_matches_from(["nowcast", "runnr"]).unwrap_err();
        assert!(error.to_string().contains("'runner'"), "clap suggests it: {error}");
        let text = super::without_hidden(error).to_string();
        assert!(!text.contains("'runner'"), "{text}");
    }

    #[test]
    fn a_hidden_option_is_not_suggested() {
        let suggestion = |option: &str| {
            let error = super::definition().try_get_matches_from(["nowcast", "broker", option]).unwrap_err();
            assert!(error.to_string().contains("a similar argument exists"), "clap suggests one: {error}");
            super::without_hidden(error).to_string()
        };
        let hidden = suggestion("--end-wit");
        assert!(!hidden.contains("--end-with"), "{hidden}");
        let visible = suggestion("--recor");
        assert!(visible.contains("--record"), "{visible}");
    }
}
