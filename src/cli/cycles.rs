//! `nowcast cycles`: lists cycles.

use std::process::ExitCode;

use super::operate::{CommonOptions, count};
use super::states::cycle_cell;
use super::table::Table;
use super::{csv_output, print, times};
use crate::view::cycle::{CycleState, CycleView, CycleViews, ToCome};

/// The workers that a row names.
const NAMED: usize = 3;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Print CSV, for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// List only cycles in this state: running, waiting, held, failed, quiet, done or cancelled
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<CycleState>,
    /// Maximum number of entries, the latest first
    #[arg(short, value_name = "COUNT", default_value_t = 20, value_parser = count)]
    number: u32,
}

fn state(text: &str) -> Result<CycleState, String> {
    let words = || CycleState::ALL.map(CycleState::word).join(", ");
    let found = CycleState::ALL.into_iter().find(|state| state.word() == text);
    found.ok_or_else(|| format!("use one of {}", words()))
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        let open = context.history.open_now()?;
        let views = CycleViews::new(context, &open, context.history.cycles_now()?);
        let matching = views.latest().into_iter().filter_map(|(cycle, _)| {
            let view = views.view(cycle).transpose()?;
            let is_selected = |view: &CycleView| args.state.is_none_or(|state| state == view.state);
            view.map(|view| is_selected(&view).then_some(view)).map_err(anyhow::Error::from).transpose()
        });
        let matching = matching.take(args.number as usize);
        if args.common.json {
            return print::json_list(matching);
        }
        if args.csv {
            return csv_output::list(&CycleView::COLUMNS, matching);
        }
        let cycles = matching.collect::<anyhow::Result<Vec<_>>>()?;
        if cycles.is_empty() {
            return Ok(print::text("no matching cycles\n"));
        }
        let mut table = Table::new(&["CYCLE", "STATE", "BEGUN", "LAST", "RUNS", "OPEN", "TO COME"]);
        for view in &cycles {
            table.row([
                view.cycle.to_string().into(),
                cycle_cell(view.state),
                times::minute(view.begun, &context.now).into(),
                times::minute(view.last, &context.now).into(),
                view.runs.to_string().into(),
                view.open.len().to_string().into(),
                to_come(&view.to_come).into(),
            ]);
        }
        Ok(print::table(&table))
    })
}

/// Return the workers whose messages are still to come.
pub(super) fn to_come(missing: &[ToCome]) -> String {
    let mut workers: Vec<&str> = Vec::new();
    for message in missing {
        if !workers.contains(&message.worker.as_str()) {
            workers.push(&message.worker);
        }
    }
    let more = workers.len().saturating_sub(NAMED);
    workers.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", workers.join(", "))
}
