//! `nowcast launch WORKER [ARGS]…`

use std::process::ExitCode;

use super::operate::{self, Common};
use crate::config::duration;
use crate::core::next_worker::LOCALHOST;
use crate::core::{Command, LaunchOptions, NextWorker};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Where it runs: a host of `run: enabled hosts:`
    #[arg(long, default_value = LOCALHOST)]
    host: String,
    /// How long to wait before: 10m
    #[arg(long, value_parser = duration::parse)]
    delay: Option<jiff::SignedDuration>,
    /// Not before that moment: 05:15, or 2026-03-14 05:15
    #[arg(long, value_parser = operate::moment)]
    at: Option<jiff::Timestamp>,
    /// The worker: its name if it is built in, or the dotted name of its module
    worker: String,
    /// Its arguments after the configuration file
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let options = LaunchOptions { delay: args.delay, at: args.at, ..LaunchOptions::default() };
    let module = qualified(&args.worker, &config);
    let worker =
        NextWorker { host: args.host.clone(), options, ..NextWorker::new(module, args.args.clone()) };
    args.common.ask(Command::Launch { worker, again: None })
}

/// The worker's module: a name of the registry that is neither built in nor has a command of its own gets
/// the workers' package before it, as in a rule's `worker("name")`.
fn qualified(name: &str, config: &crate::config::Config) -> String {
    let has_command = config.workers.get(name).is_some_and(|worker| worker.command.is_some());
    match &config.registry.workers_package {
        Some(package) if !name.contains('.') && !has_command && crate::worker::built_in(name).is_none() => {
            format!("{package}.{name}")
        }
        _ => name.to_owned(),
    }
}
