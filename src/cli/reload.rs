//! `nowcast reload`: lets the daemons of `nowcast up` reload configuration and rules.

use std::process::ExitCode;
use std::time::Duration;

use super::operate::CommonOptions;
use super::print;
use super::up_request::{request, show};
use crate::supervise::request::UpCommand;

/// The time limit: more than `nowcast up` waits.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.common.read() {
        Ok(config) => config,
        Err(error) => {
            print::complain(&format!("nothing was reloaded, since every daemon would refuse it:\n{error}"));
            return ExitCode::FAILURE;
        }
    };
    request(UpCommand::Reload, &config, TIMEOUT)
        .map_or_else(|status| status, |answer| show(&answer, &args.common))
}
