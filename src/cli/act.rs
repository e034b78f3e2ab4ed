//! Commands that send a request to the manager: `retry`, `kill`, `hold`, `release`, `discard`.

use std::process::ExitCode;

use super::bulk::{Bulk, SELECTING, SELECTING_BUT_ALL, Selected};
use super::operate::{
    CommonOptions, FutureTime, future_time, message_number, number, require_registered, run_number,
};
use super::read_only::ViewContext;
use super::{cycle_option, print};
use crate::store::journal::RunState;
use crate::view::attention::requirements;
use crate::view::run::label;
use nowcast_core::hold::HoldTarget;
use nowcast_core::parked::ParkedItem;
use nowcast_core::requested_launch::RequestedLaunch;
use nowcast_core::run::Stage;
use nowcast_core::{Command, Cycle, Number, Run};

/// `nowcast retry`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of a parked message
    #[arg(value_parser = message_number, required_unless_present_any = SELECTING, conflicts_with_all = SELECTING)]
    message: Option<Number>,
    /// Retry every parked message
    #[arg(long, conflicts_with_all = SELECTING_BUT_ALL)]
    all: bool,
    #[command(flatten)]
    bulk: Bulk,
    /// Checklist that the rule sees: the current one, or the one before the message
    #[arg(long, value_name = "WHEN", default_value = "now", value_parser = ["now", "then"], conflicts_with = "all")]
    checklist: String,
}

impl RetryArgs {
    pub(super) fn run(&self) -> ExitCode {
        let historical_checklist = self.checklist == "then";
        let retry = |message| Command::Retry { message, historical_checklist };
        if self.all || self.message.is_some() {
            return self.common.ask(retry(self.message));
        }
        self.bulk.act("Retry", &self.common, |context| {
            parked_messages(&self.bulk, context, |number| retry(Some(number)))
        })
    }
}

/// Return the selected parked messages, oldest first.
fn parked_messages(
    bulk: &Bulk,
    context: &ViewContext,
    command: impl Fn(Number) -> Command,
) -> anyhow::Result<Vec<Selected>> {
    let mut selected = Vec::new();
    for parked in context.history.open_now()?.parked {
        let ParkedItem::Message { source, r#type, run, cycle, .. } = &parked.item else { continue };
        let run = run.map(|run| context.history.run(run)).transpose()?.flatten();
        let host = run.as_ref().map(|run| run.worker.host.as_str());
        if bulk.fits(source, host, cycle.as_ref()) && bulk.is_since(parked.at.timestamp()) {
            let what = format!("message {type} of {source}: {}", first_line(&parked.reason));
            selected.push(Selected::new(parked.id, what, command(parked.id)));
        }
    }
    Ok(selected)
}

/// Return the selected launches that are parked, all of an item, or pending.
fn waiting_launches(
    bulk: &Bulk,
    context: &ViewContext,
    command: impl Fn(Number) -> Command,
) -> anyhow::Result<Vec<Selected>> {
    let mut selected = Vec::new();
    let fits = |launch: &RequestedLaunch| {
        bulk.fits(launch.worker.name(), Some(&launch.worker.host), launch.cycle.as_ref())
    };
    for parked in context.history.open_now()?.parked {
        let ParkedItem::Launches { launches, .. } = &parked.item else { continue };
        if launches.iter().all(fits) && bulk.is_since(parked.at.timestamp()) {
            let named: Vec<String> = launches.iter().map(|launch| label(&launch.worker)).collect();
            let what = format!("parked: {}; {}", named.join(", "), first_line(&parked.reason));
            selected.push(Selected::new(parked.id, what, command(parked.id)));
        }
    }
    let is_pending = |run: &Run| matches!(run.stage, Stage::Pending { .. }) && bulk.fits_run(run);
    let pending = bulk.runs(RunState::Open, context)?.into_iter().rev().filter(is_pending);
    selected.extend(pending.map(|run| Selected::run(&run, command(run.id), context)));
    Ok(selected)
}

/// Return the selected open joins: those of whose launches all are selected.
fn open_joins(
    bulk: &Bulk,
    context: &ViewContext,
    command: impl Fn(Number) -> Command,
) -> anyhow::Result<Vec<Selected>> {
    let fits = |launch: &RequestedLaunch| {
        bulk.fits(launch.worker.name(), Some(&launch.worker.host), launch.cycle.as_ref())
    };
    let mut selected = Vec::new();
    for join in context.history.open_now()?.joins {
        let launches = join.launches();
        let opened = context.history.event(join.opened_by)?.map(|event| event.at.timestamp());
        if !launches.is_empty() && launches.iter().all(fits) && opened.is_none_or(|time| bulk.is_since(time))
        {
            let named: Vec<String> = launches.iter().map(|launch| label(&launch.worker)).collect();
            let what = format!("join {}: {}; {}", join.name, named.join(", "), requirements(&join));
            selected.push(Selected::new(join.id, what, command(join.id)));
        }
    }
    Ok(selected)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// `nowcast kill`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct KillArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of the run
    #[arg(value_parser = run_number, required_unless_present_any = SELECTING_BUT_ALL, conflicts_with_all = SELECTING_BUT_ALL)]
    run: Option<Number>,
    #[command(flatten)]
    bulk: Bulk,
}

impl KillArgs {
    pub(super) fn run(&self) -> ExitCode {
        match (self.run, &self.bulk.cycle) {
            (Some(run), _) => self.common.ask(Command::Kill { run }),
            // A cycle alone is one command, as cycle cancel is.
            (None, Some(cycle)) if !self.bulk.is_given() => {
                self.common.ask(Command::KillCycle { cycle: cycle.clone() })
            }
            (None, _) => self.bulk.act("Stop", &self.common, |context| {
                let runs = self.bulk.runs(RunState::Open, context)?.into_iter().rev();
                let running = runs.filter(|run| run.is_running() && self.bulk.fits_run(run));
                let kill = |run: Run| Selected::run(&run, Command::Kill { run: run.id }, context);
                Ok(running.map(kill).collect())
            }),
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
    #[arg(value_name = "NUMBER", value_parser = number, required_unless_present_any = SELECTING_BUT_ALL, conflicts_with_all = SELECTING_BUT_ALL)]
    number: Option<Number>,
    #[command(flatten)]
    bulk: Bulk,
}

impl NumberArgs {
    pub(super) fn release(&self) -> ExitCode {
        let release = |number| Command::Release { number };
        match self.number {
            Some(number) => self.common.ask(release(number)),
            None => self
                .bulk
                .act("Release", &self.common, |context| waiting_launches(&self.bulk, context, release)),
        }
    }

    pub(super) fn discard(&self) -> ExitCode {
        let discard = |number| Command::Discard { number };
        match self.number {
            Some(number) => self.common.ask(discard(number)),
            None => self.bulk.act("Discard", &self.common, |context| {
                let mut selected = parked_messages(&self.bulk, context, discard)?;
                selected.extend(waiting_launches(&self.bulk, context, discard)?);
                selected.extend(open_joins(&self.bulk, context, discard)?);
                Ok(selected)
            }),
        }
    }
}
