//! `nowcast log-aggregator`

use std::process::ExitCode;

use super::daemon;
use crate::log_aggregator::{Aggregator, NAME};
use crate::net::curve::KeyError;
use pylogging::Logger;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: daemon::Args,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let log = Logger::new(NAME);
    let (config, mut signals) = match daemon::set_up_aggregator(&args.daemon, &log) {
        Ok(ready) => ready,
        Err(status) => return status,
    };
    let file = config.file.clone();
    let mut work = || {
        let mut aggregator = Aggregator::subscribe(&config, log.clone())?;
        Ok(aggregator.run(&mut signals, &mut || daemon::reload_aggregator(&file, &log))?)
    };
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err::<_, KeyError>(error) => {
            log.critical(format_args!("{error}"));
            log.critical("shutting down");
            ExitCode::FAILURE
        }
    }
}
