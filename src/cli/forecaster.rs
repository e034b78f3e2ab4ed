//! `nowcast forecaster`: makes one forecast of the expected messages for the manager that starts it, and writes it beside the journal. It
//! must neither compete with daemons and workers for the processor nor speak to anybody.

use std::num::NonZero;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

use super::config_file::ConfigFile;
use super::print;
use crate::clock::MachineClock;
use crate::config;
use crate::failpoint;
use crate::forecast::{ExpectationForecast, ForecastOptions, ForecastRules, forecast};
use crate::store::forecast_file::StoredForecast;
use crate::store::journal::History;
use crate::supervise;

/// How much its priority is lowered, as by `nice`.
const NICENESS: i32 = 10;

/// Processor time, in seconds. A forecast has 10 s at most for its draws.
const MOST_SECONDS: u64 = 30;

/// Memory, in bytes.
const MOST_MEMORY: u64 = 1 << 30;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Exit when this process, the manager, exits
    #[arg(long, value_name = "PID", hide = true)]
    end_with: Option<u32>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    limit_resources();
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn work(args: &Args) -> anyhow::Result<()> {
    // Only the manager stops a forecast that takes too long, so it ends with a manager that is killed.
    args.end_with.map_or(Ok(()), supervise::end_with_parent)?;
    let (config, _) = config::load(&args.config.path())?;
    let history = History::open(&config.journal.folder)?;
    let rules = ForecastRules::in_force(&config, &history)?;
    let now = MachineClock::new().read();
    let mut options = ForecastOptions::default();
    options.draws.threads = Some(NonZero::<usize>::MIN);
    let made = forecast(&config, &history, &now, &rules, &options)?;
    let expected = made.expected.iter().map(ExpectationForecast::brief).collect();
    failpoint::pass("forecaster: made");
    StoredForecast { at: now.wall.timestamp(), expected }.write(&config.journal.folder)?;
    Ok(())
}

/// Lower the priority, and limit processor time and memory. A limit that is lower already stays.
fn limit_resources() {
    // Without the lower priority the forecast is still made.
    let _ = nice(NICENESS);
    for (resource, most) in [(Resource::Cpu, MOST_SECONDS), (Resource::As, MOST_MEMORY)] {
        let Rlimit { current, maximum } = getrlimit(resource);
        let current = Some(current.map_or(most, |current| current.min(most)));
        // The limit of the manager, if it has one, is lower then.
        let _ = setrlimit(resource, Rlimit { current, maximum });
    }
}
