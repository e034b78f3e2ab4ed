//! `nowcast launch WORKER [ARGS]…`

use std::process::ExitCode;

use super::operate::{self, CommonOptions, FutureTime};
use super::{cycle_option, print, words};
use crate::config::duration;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::{Command, CycleOption, LaunchOptions, NextWorker};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(override_usage = "nowcast launch [OPTIONS] <WORKER> [ARGS]...")]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Launch on this host, listed under "run: enabled hosts" or "hosts"
    #[arg(long, default_value = LOCALHOST)]
    host: String,
    /// Wait this long before the launch, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    delay: Option<jiff::SignedDuration>,
    /// Launch at this time, such as 05:15 or 2026-03-14 05:15
    #[arg(long, value_name = "TIME", value_parser = operate::future_time)]
    at: Option<FutureTime>,
    /// Cycle of the run, or none
    #[arg(long, value_name = "ID|none", value_parser = cycle_option::option)]
    cycle: Option<CycleOption>,
    /// Allow a worker that is not in the message registry; its messages are refused
    #[arg(long)]
    unregistered: bool,
    /// Name of the worker or dotted name of its module, then its own arguments and options
    #[arg(required = true, num_args = 1.., value_names = ["WORKER", "ARGS"], trailing_var_arg = true, allow_hyphen_values = true)]
    worker: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    launch(args).unwrap_or_else(|status| status)
}

fn launch(args: &Args) -> Result<ExitCode, ExitCode> {
    let (name, worker_args) = words::split("launch", &args.worker)?;
    note_own_options(name, worker_args);
    let config = args.common.load()?;
    let launch = operate::requested_launch(name, worker_args, &config, args.unregistered)?;
    let delay = args.delay.max(args.at.and_then(FutureTime::duration));
    let at = args.at.and_then(FutureTime::at);
    let cycle = cycle_option::chosen(args.cycle.as_ref(), &args.common)?;
    let options = LaunchOptions { delay, at, cycle, ..LaunchOptions::default() };
    let worker = NextWorker { host: args.host.clone(), options, ..launch };
    Ok(args.common.ask(Command::Launch { worker, rerun_of: None, origin: None }))
}

/// Tell of options of `launch` that the worker gets. Some workers have options of the same names.
fn note_own_options(name: &str, worker_args: &[String]) {
    for own in worker_args.iter().take_while(|arg| *arg != "--").filter_map(|arg| own_option(arg)) {
        print::complain(&format!(
            "note: {own} is passed to {name}; put options of \"nowcast launch\" before the worker: nowcast launch {own} … {name}"
        ));
    }
}

fn own_option(arg: &str) -> Option<&'static str> {
    let name = arg.split('=').next()?;
    ["--cycle", "--delay", "--at", "--host", "--unregistered"].into_iter().find(|own| *own == name)
}
