//! `nowcast ack NUMBER|--all`: acknowledges failed runs, so that they no longer degrade the system.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::bail;

use super::bulk::{Bulk, SELECTING, SELECTING_BUT_ALL, Selected};
use super::operate::{CommonOptions, run_number};
use super::read_only::ViewContext;
use crate::store::journal::RunState;
use crate::view::failures::{FailureGroup, failures};
use nowcast_core::{Command, Number, Run, RunId};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of a failed run; the failures that status groups with it are acknowledged, too
    #[arg(value_parser = run_number, required_unless_present_any = SELECTING, conflicts_with_all = SELECTING)]
    run: Option<Number>,
    /// Acknowledge every failed run
    #[arg(long, conflicts_with_all = SELECTING_BUT_ALL)]
    all: bool,
    #[command(flatten)]
    bulk: Bulk,
    /// Reason, shown by status
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let acknowledge = |runs| Command::Acknowledge { runs, reason: args.reason.clone() };
    if args.run.is_none() && !args.all {
        return args.bulk.act("Acknowledge", &args.common, |context| {
            let selected = selected(&args.bulk, &failures(context)?, context)?;
            Ok(selected.iter().map(|run| Selected::run(run, acknowledge(vec![run.id]), context)).collect())
        });
    }
    args.common.view(|context| {
        let failures = failures(context)?;
        let runs = match args.run {
            Some(number) => grouped_with(number, &failures, context)?,
            None => unacknowledged(&failures).map(|run| run.id).collect(),
        };
        Ok(args.common.ask(acknowledge(runs)))
    })
}

/// Return the failed runs that status shows as one item with this run.
fn grouped_with(
    number: Number,
    failures: &[FailureGroup],
    context: &ViewContext,
) -> anyhow::Result<Vec<RunId>> {
    let has_it = |failure: &&FailureGroup| failure.runs.iter().any(|run| run.id == number);
    match failures.iter().find(has_it) {
        Some(failure) => Ok(failure.runs.iter().map(|run| run.id).collect()),
        None => bail!(why_not(number, context)?),
    }
}

/// Return the reason why there is nothing to acknowledge under a number, and what helps.
fn why_not(number: Number, context: &ViewContext) -> anyhow::Result<String> {
    let found = context.history.numbered(number)?;
    if found.parked.is_some_and(|parked| parked.closed_by.is_none()) {
        return Ok(format!(
            "{number} is parked, not a failed run; \"nowcast why {}\" shows what helps",
            number.0
        ));
    }
    Ok(match found.run {
        None => format!("there is no run {number}; \"nowcast status\" shows failed runs"),
        Some(run) if !run.is_closed() => format!("run {number} has not ended yet"),
        Some(run) if run.has_succeeded() != Some(false) => format!("run {number} has not failed"),
        Some(_) => format!(
            "the failure of run {number} needs no acknowledgement: a later run succeeded, or it is older than a day"
        ),
    })
}

fn unacknowledged(failures: &[FailureGroup]) -> impl Iterator<Item = &Run> {
    let open = failures.iter().filter(|failure| failure.acknowledged.is_none());
    open.flat_map(|failure| &failure.runs)
}

/// Return the selected failed runs that are not acknowledged, oldest first.
fn selected(bulk: &Bulk, failures: &[FailureGroup], context: &ViewContext) -> anyhow::Result<Vec<Run>> {
    let open: HashSet<RunId> = unacknowledged(failures).map(|run| run.id).collect();
    let failed = bulk.runs(RunState::Failed, context)?.into_iter().rev();
    Ok(failed.filter(|run| open.contains(&run.id) && bulk.fits_run(run)).collect())
}
