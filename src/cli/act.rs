//! Commands that send one request to the manager: `retry`, `kill`, `hold`, `release`, `discard`.

use std::process::ExitCode;

use super::operate::{
    CommonOptions, FutureTime, future_time, message_number, number, require_registered, run_number,
};
use super::{cycle_option, print};
use nowcast_core::hold::HoldTarget;
use nowcast_core::{Command, Cycle, Number};

/// `nowcast retry`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of a parked message
    #[arg(value_parser = message_number, required_unless_present = "all", conflicts_with = "all")]
    message: Option<Number>,
    /// Retry every parked message
    #[arg(long)]
    all: bool,
    /// Checklist that the rule sees: the current one, or the one before the message
    #[arg(long, value_name = "WHEN", default_value = "now", value_parser = ["now", "then"], conflicts_with = "all")]
    checklist: String,
}

impl RetryArgs {
    pub(super) fn run(&self) -> ExitCode {
        let historical_checklist = self.checklist == "then";
        self.common.ask(Command::Retry { message: self.message, historical_checklist })
    }
}

/// `nowcast kill`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct KillArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of the run
    #[arg(value_parser = run_number, required_unless_present = "cycle", conflicts_with = "cycle")]
    run: Option<Number>,
    /// Stop all running runs of this cycle
    #[arg(long, value_name = "ID", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
}

impl KillArgs {
    pub(super) fn run(&self) -> ExitCode {
        match (self.run, &self.cycle) {
            (_, Some(cycle)) => self.common.ask(Command::KillCycle { cycle: cycle.clone() }),
            (Some(run), None) => self.common.ask(Command::Kill { run }),
            // clap requires one of them.
            (None, None) => ExitCode::from(super::USAGE),
        }
    }
}

/// `nowcast hold`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Pause launches of this worker
    #[arg(long, group = "what")]
    worker: Option<String>,
    /// Pause launches on this host
    #[arg(long, group = "what")]
    host: Option<String>,
    /// Pause launches of this cycle
    #[arg(long, group = "what", value_name = "ID", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
    /// Pause every launch
    #[arg(long, group = "what")]
    all: bool,
    /// Allow a worker that is not in the message registry
    #[arg(long, requires = "worker")]
    unregistered: bool,
    /// End the hold at this time, such as 06:00 or 2026-03-14 06:00, or after a duration, such as 3h
    #[arg(long, value_name = "TIME", value_parser = future_time)]
    until: Option<FutureTime>,
    /// Reason, shown by status
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl HoldArgs {
    pub(super) fn run(&self) -> ExitCode {
        self.hold().unwrap_or_else(|status| status)
    }

    fn hold(&self) -> Result<ExitCode, ExitCode> {
        if let Some(worker) = self.worker.as_ref().filter(|_| !self.unregistered) {
            require_registered(worker, &self.common.load()?, "holds it")?;
        }
        let target = match (&self.worker, &self.host, &self.cycle, self.all) {
            (Some(worker), ..) => HoldTarget::Worker(worker.clone()),
            (_, Some(host), ..) => HoldTarget::Host(host.clone()),
            (_, _, Some(cycle), _) => HoldTarget::Cycle(cycle.clone()),
            (None, None, None, true) => HoldTarget::All,
            (None, None, None, false) => {
                print::complain("name the launches to hold: --worker NAME, --host NAME, --cycle ID or --all");
                return Err(ExitCode::from(super::USAGE));
            }
        };
        let until = self.until.and_then(FutureTime::at);
        let duration = self.until.and_then(FutureTime::duration);
        Ok(self.common.ask(Command::Hold { target, until, duration, reason: self.reason.clone() }))
    }
}

/// `nowcast release` and `nowcast discard`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct NumberArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Number shown by "nowcast status"
    #[arg(value_name = "NUMBER", value_parser = number)]
    number: Number,
}

impl NumberArgs {
    pub(super) fn release(&self) -> ExitCode {
        self.common.ask(Command::Release { number: self.number })
    }

    pub(super) fn discard(&self) -> ExitCode {
        self.common.ask(Command::Discard { number: self.number })
    }
}
