//! `nowcast broker`

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{USAGE, daemon};
use crate::broker::{Broker, BrokerError, NAME};
use pylogging::Logger;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: daemon::Args,
    /// Append every message and its reply to this file, one line of JSON each
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let log = Logger::new(NAME);
    let (config, mut signals) = match daemon::set_up(&args.daemon, &log) {
        Ok(ready) => ready,
        Err(status) => return status,
    };
    let file = config.file.clone();
    // The standard library seeds every hasher from the operating system's random numbers.
    let epoch = RandomState::new().hash_one(std::process::id());
    let mut work = || -> anyhow::Result<()> {
        let mut broker = Broker::bind(&config, epoch, log.clone())?;
        if let Some(file) = &args.record {
            broker.record(file)?;
        }
        broker.run(&mut signals, &mut || daemon::reload(&file, &log))?;
        Ok(())
    };
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            daemon::log_fatal(&log, error.as_ref());
            match error.downcast_ref() {
                Some(BrokerError::Bind { .. } | BrokerError::Record { .. }) => ExitCode::from(USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
