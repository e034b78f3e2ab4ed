//! `nowcast restart [DAEMON…]`: restarts daemons of `nowcast up`.

use std::process::ExitCode;
use std::time::Duration;

use super::operate::CommonOptions;
use super::up_request::{request, show};
use crate::supervise::request::UpCommand;

/// The daemons of a system, by their commands.
pub(super) const DAEMONS: [&str; 4] = ["broker", "manager", "scheduler", "log-aggregator"];

/// The time limit: each of the daemons may take its time to stop, and its time to be ready.
const TIMEOUT: Duration = Duration::from_secs(360);

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Daemons to restart [default: all, one after the other]
    #[arg(value_name = "DAEMON", value_parser = DAEMONS)]
    daemons: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let command = UpCommand::Restart { daemons: args.daemons.clone() };
    let answer = args.common.load().and_then(|config| request(command, &config, TIMEOUT));
    answer.map_or_else(|status| status, |answer| show(&answer, &args.common))
}
