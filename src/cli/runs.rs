//! `nowcast runs`

use std::process::ExitCode;

use jiff::Timestamp;

use super::operate::{CommonOptions, count};
use super::read_only::check_worker;
use super::states::state_cell;
use super::table::{Cell, Table};
use super::{print, times};
use crate::store::journal::{RunFilter, RunState};
use crate::view::run::{RunStatus, RunView, arguments};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// List only runs of this worker
    #[arg(long)]
    worker: Option<String>,
    /// List only runs that have not ended
    #[arg(long, conflicts_with = "failed")]
    open: bool,
    /// List only failed runs
    #[arg(long)]
    failed: bool,
    /// List only runs since this time, such as 2d, 06:00 or 2026-03-14
    #[arg(long, value_name = "TIME", value_parser = times::since)]
    since: Option<Timestamp>,
    /// Maximum number of entries, newest first
    #[arg(short, value_name = "COUNT", default_value_t = 20, value_parser = count)]
    number: u32,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let state = match (args.open, args.failed) {
        (true, _) => RunState::Open,
        (_, true) => RunState::Failed,
        _ => RunState::Any,
    };
    let filter =
        RunFilter { worker: args.worker.clone(), state, since: args.since, limit: Some(args.number) };
    args.common.view(|context| {
        args.worker.as_deref().map_or(Ok(()), |worker| check_worker(worker, context))?;
        let runs = context.history.runs(&filter)?;
        let runs: Vec<RunView> = runs.iter().map(|run| RunView::new(run, context)).collect();
        if args.common.json {
            return Ok(print::json(&runs));
        }
        if runs.is_empty() {
            return Ok(print::text("no matching runs\n"));
        }
        let mut table = Table::new(&[
            "RUN", "STATE", "WORKER", "ARGS", "STARTED", "FOR", "ENDING", "HOST", "ATTEMPT", "CAUSE",
        ]);
        for run in &runs {
            let ending = run.ending.clone().filter(|_| run.state != RunStatus::Succeeded);
            table.row([
                format!("#{}", run.number).into(),
                state_cell(run.state),
                run.worker.clone().into(),
                arguments(&run.args).into(),
                run.started.map(|at| times::second(at, &context.now)).unwrap_or_default().into(),
                run.elapsed().map(times::span).unwrap_or_default().into(),
                ending.unwrap_or_default().into(),
                run.host.clone().into(),
                run.attempt.to_string().into(),
                Cell::from(format!("#{}", run.cause)),
            ]);
        }
        Ok(print::table(&table))
    })
}
