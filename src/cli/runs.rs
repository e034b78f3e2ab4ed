//! `nowcast runs`

use std::process::ExitCode;

use jiff::Timestamp;

use super::cycle_option;
use super::operate::{CommonOptions, count};
use super::pages::pages;
use super::read_only::check_worker;
use super::states::state_cell;
use super::table::{Cell, Table};
use super::{csv_output, print, times};
use crate::store::journal::{RunFilter, RunState};
use crate::view::run::{RunStatus, RunView, arguments};
use nowcast_core::Cycle;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Print CSV, for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// List only runs of this worker
    #[arg(long)]
    worker: Option<String>,
    /// List only runs of this cycle
    #[arg(long, value_name = "ID", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
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
    args.common.view(|context| {
        args.worker.as_deref().map_or(Ok(()), |worker| check_worker(worker, context))?;
        let within = context.within(args.cycle.as_ref())?;
        let read = |count, before| {
            let (worker, since) = (args.worker.clone(), args.since);
            let cycle = args.cycle.as_ref().map(Cycle::to_string);
            let filter = RunFilter { worker, cycle, within, state, since, before, limit: Some(count) };
            let runs = context.history.runs(&filter)?;
            Ok(runs.iter().map(|run| RunView::new(run, context)).collect())
        };
        let runs = pages(args.number, |run: &RunView| run.number, read);
        if args.common.json {
            return print::json_list(runs);
        }
        if args.csv {
            return csv_output::list(&RunView::COLUMNS, runs);
        }
        let runs = runs.collect::<anyhow::Result<Vec<_>>>()?;
        if runs.is_empty() {
            return Ok(print::text("no matching runs\n"));
        }
        let mut table = Table::new(&[
            "RUN", "STATE", "WORKER", "ARGS", "CYCLE", "STARTED", "FOR", "ENDING", "HOST", "ATTEMPT", "CAUSE",
        ]);
        for run in &runs {
            let ending = run.ending.clone().filter(|_| run.state != RunStatus::Succeeded);
            table.row([
                format!("#{}", run.number).into(),
                state_cell(run.state),
                run.worker.clone().into(),
                arguments(&run.args).into(),
                run.cycle.clone().unwrap_or_default().into(),
                run.started.map(|at| times::second(at, &context.now)).unwrap_or_default().into(),
                run.elapsed().map(times::span).unwrap_or_default().into(),
                ending.unwrap_or_default().into(),
                run.host.clone().into(),
                run.attempt.to_string().into(),
                Cell::from(format!("#{}", run.cause)),
            ]);
        }
        table.remove_if_empty("CYCLE");
        Ok(print::table(&table))
    })
}
