//! `nowcast journal info`: what takes the space, how it grows, and what removing old entries would free.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::prune::OldView;
use super::{CommonOptions, EventView};
use crate::cli::print;
use crate::cli::read_only::ViewContext;
use crate::cli::times::{minute, span};
use crate::launch::old_runs;
use crate::store::journal::{self, AgeLimits, JournalInfo, WeekOfGrowth};
use jiff::SignedDuration;
use nowcast_core::counted::size;

/// The kinds of content: the payloads of messages, and what else there is of events and so on.
const KINDS: [&str; 7] = ["messages", "events", "runs", "rules", "configurations", "snapshots", "other"];

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// A journal. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct InfoView {
    file: PathBuf,
    version: i64,
    bytes: u64,
    free_bytes: u64,
    log_bytes: u64,
    /// The bytes of the database by kind, and of the outputs of runs.
    kinds: Vec<KindView>,
    outputs_bytes: u64,
    events: u64,
    runs: u64,
    first_event: Option<EventView>,
    last_event: Option<EventView>,
    /// The last four weeks, the latest first.
    growth: Vec<WeekOfGrowth>,
    /// Seconds.
    keep: Option<i64>,
    keep_outputs: Option<i64>,
    /// What is older than that, and will be removed.
    old: OldView,
    /// The process number of the manager that uses it.
    manager: Option<u64>,
}

/// One kind of content. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct KindView {
    kind: &'static str,
    bytes: u64,
}

pub(super) fn show(common: &CommonOptions, context: &ViewContext) -> anyhow::Result<ExitCode> {
    let view = gather(context)?;
    Ok(if common.json { print::json(&view) } else { print::text(&text(&view, context)) })
}

fn gather(context: &ViewContext) -> anyhow::Result<InfoView> {
    let settings = &context.config.journal;
    let JournalInfo { file, version, bytes, free_bytes, log_bytes, events, runs, first_and_last } =
        context.history.info()?;
    let [first_event, last_event] =
        first_and_last.map_or([None; 2], |both| both.map(EventView::of).map(Some));
    let outputs_bytes =
        old_runs::folders(&settings.runs_folder()).map(|(_, folder)| old_runs::size(&folder)).sum();
    Ok(InfoView {
        file,
        version,
        bytes,
        free_bytes,
        log_bytes,
        kinds: kinds(&context.history.table_bytes()?),
        outputs_bytes,
        events,
        runs,
        first_event,
        last_event,
        growth: context.history.growth(context.present.steady)?,
        keep: settings.keep.map(|keep| keep.as_secs()),
        keep_outputs: settings.keep_outputs.map(|keep| keep.as_secs()),
        old: OldView::gather(&AgeLimits::at(context.present.steady, settings), context)?,
        manager: journal::holder(&settings.folder),
    })
}

/// Return the bytes of each kind of content.
fn kinds(tables: &BTreeMap<String, u64>) -> Vec<KindView> {
    let of = |kind: &str| {
        let of_kind = tables.iter().filter(|(table, _)| kind_of(table) == kind);
        of_kind.map(|(_, bytes)| bytes).sum()
    };
    KINDS.map(|kind| KindView { kind, bytes: of(kind) }).into()
}

/// Return what a table is for.
fn kind_of(table: &str) -> &'static str {
    match table {
        journal::PAYLOADS => "messages",
        "events" | "tickets" | "message_ids" => "events",
        "runs" => "runs",
        "rules" | "rule_files" => "rules",
        "configurations" => "configurations",
        "snapshots" => "snapshots",
        _ => "other",
    }
}

fn text(view: &InfoView, context: &ViewContext) -> String {
    let manager = match view.manager {
        None => "not running".to_owned(),
        Some(0) => "running".to_owned(),
        Some(process) => format!("process {process}"),
    };
    let time = |event: EventView| minute(event.time, &context.now);
    let times = view
        .first_event
        .zip(view.last_event)
        .map_or_else(String::new, |(first, last)| format!(", from {} to {}", time(first), time(last)));
    let kinds: Vec<String> =
        view.kinds.iter().map(|KindView { kind, bytes }| format!("{kind} {}", size(*bytes))).collect();
    let growth: Vec<String> = view.growth.iter().map(|week| size(week.bytes_a_day)).collect();
    let kept = |keep: Option<i64>| match keep {
        None => "forever".to_owned(),
        Some(seconds) if seconds % DAY == 0 => format!("{}d", seconds / DAY),
        Some(seconds) => span(SignedDuration::from_secs(seconds)),
    };
    format!(
        "file     {} (version {})\nsize     {}, of which {} are free; log {}\n         {}\noutputs  {}\nevents   {}{times}\nruns     {}\n\
         growth   a day in the last four weeks, the latest first: {}\nkept     entries {}, outputs {}\n\
         old      {}\nmanager  {manager}\n",
        view.file.display(),
        view.version,
        size(view.bytes),
        size(view.free_bytes),
        size(view.log_bytes),
        kinds.join(", "),
        size(view.outputs_bytes),
        view.events,
        view.runs,
        growth.join(", "),
        kept(view.keep),
        kept(view.keep_outputs),
        view.old,
    )
}
