//! `nowcast ack NUMBER|--all`: acknowledges failed runs, so that they no longer degrade the system.

use std::process::ExitCode;

use anyhow::bail;

use super::operate::{CommonOptions, run_number};
use super::read_only::ViewContext;
use crate::view::failures::{FailureGroup, failures};
use nowcast_core::{Command, Number, RunId};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of a failed run; the failures that status groups with it are acknowledged, too
    #[arg(value_parser = run_number, required_unless_present = "all", conflicts_with = "all")]
    run: Option<Number>,
    /// Acknowledge every failed run
    #[arg(long)]
    all: bool,
    /// Reason, shown by status
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        let failures = failures(context)?;
        let runs = match args.run {
            Some(number) => grouped_with(number, &failures, context)?,
            None => unacknowledged(&failures),
        };
        Ok(args.common.ask(Command::Acknowledge { runs, reason: args.reason.clone() }))
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

fn unacknowledged(failures: &[FailureGroup]) -> Vec<RunId> {
    let open = failures.iter().filter(|failure| failure.acknowledged.is_none());
    open.flat_map(|failure| &failure.runs).map(|run| run.id).collect()
}
