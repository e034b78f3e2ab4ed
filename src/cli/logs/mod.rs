//! `nowcast logs`: shows the log files of the system, also rotated ones, merged in the order of time. It never changes a file.

mod entry;
mod follow;
mod source;

use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;

use super::operate::{CommonOptions, number};
use super::read_only::ViewContext;
use super::{print, times};
use crate::clock::MachineClock;
use crate::config::Config;
use crate::store::History;
use crate::supervise::RunningUp;
use crate::{broker, log_aggregator, manager, scheduler};
use entry::{Entry, Filter};
use nowcast_core::Number;
use nowcast_core::run::Stage;
use pylogging::{ConfiguredFile, Level};
use source::LogSource;

/// The number of entries without an option that selects some.
const LAST: usize = 50;

/// The number of entries before and after an event.
const AROUND: usize = 15;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Show only lines of these daemons, workers or other loggers
    #[arg(value_name = "DAEMON|WORKER")]
    names: Vec<String>,
    /// Wait for further lines, also across rotations
    #[arg(short, long, conflicts_with_all = ["json", "until", "around"])]
    follow: bool,
    /// Number of entries from the end, or before and after an event [default: 50, or 15; all with --since]
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,
    /// Show entries since this time, such as 2d, 06:00 or 2026-03-14
    #[arg(long, value_name = "TIME", value_parser = times::since)]
    since: Option<Timestamp>,
    /// Show entries until this time
    #[arg(long, value_name = "TIME", value_parser = times::since)]
    until: Option<Timestamp>,
    /// Show what the manager logged around a message, a run or another event
    #[arg(long, value_name = "NUMBER", value_parser = number, conflicts_with_all = ["since", "until"])]
    around: Option<Number>,
    /// Show entries from this level on [default: info; debug with --around]
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
}

/// An entry as JSON has it.
#[derive(Debug, Serialize)]
struct EntryView<'a> {
    time: Timestamp,
    level: Option<u32>,
    name: Option<&'a str>,
    text: &'a str,
}

impl<'e> EntryView<'e> {
    fn of(Entry { head, text }: &'e Entry) -> Self {
        Self { time: head.time, level: head.level.map(|level| level.0), name: head.name.as_deref(), text }
    }
}

fn level(text: &str) -> Result<Level, String> {
    Level::from_name(&text.to_uppercase())
        .ok_or_else(|| "use debug, info, warning, error or critical".to_owned())
}

pub(super) fn run(args: &Args) -> ExitCode {
    let shown = args.common.load().map(|config| show(args, config));
    shown.unwrap_or_else(Ok).unwrap_or_else(|error| {
        print::error(error.as_ref());
        ExitCode::FAILURE
    })
}

fn show(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    let level = args.level.unwrap_or(if args.around.is_some() { Level::DEBUG } else { Level::INFO });
    let mut sources = sources(args, &config, level)?;
    if let Some(number) = args.around {
        return around(args, number, config, &sources, level);
    }
    let filter = filter(args, level);
    let last = args.lines.or_else(|| args.since.is_none().then_some(LAST));
    let entries = merged(&mut sources, &filter, last)?;
    if args.common.json {
        return Ok(print_json(&entries));
    }
    let printed = print_entries(&entries);
    if args.follow { follow::follow(&mut sources, &filter) } else { Ok(printed) }
}

fn filter(args: &Args, level: Level) -> Filter {
    let names = args.names.iter().map(|name| logger_name(name).to_owned()).collect();
    Filter { names, level, since: args.since, until: args.until }
}

/// Return the name under which a daemon logs.
fn logger_name(name: &str) -> &str {
    match name {
        "broker" => broker::NAME,
        "manager" => manager::NAME,
        "scheduler" => scheduler::NAME,
        "log-aggregator" => log_aggregator::NAME,
        other => other,
    }
}

/// Return the log files to read: of the root logger the one that reaches back furthest and has the level, and those of named loggers that
/// have their own.
fn sources(args: &Args, config: &Config, level: Level) -> anyhow::Result<Vec<LogSource>> {
    let files = ConfiguredFile::all(&config.logging)?;
    let root = files.iter().filter(|file| file.logger.is_none());
    let fitting = root.clone().filter(|file| file.level <= level).max_by_key(|file| file.level);
    let chosen = fitting.or_else(|| root.min_by_key(|file| file.level));
    let named = files.iter().filter(|file| {
        file.logger.as_ref().is_some_and(|logger| args.names.iter().any(|name| name == logger))
    });
    let mut sources: Vec<LogSource> = Vec::new();
    for file in chosen.into_iter().chain(named) {
        if !sources.iter().any(|known| known.path() == file.path) {
            sources.push(LogSource::new(file.clone()));
        }
    }
    if sources.is_empty() {
        bail!(no_file(config));
    }
    if sources.iter().all(|source| source.files().is_empty()) {
        let paths: Vec<String> = sources.iter().map(|source| source.path().display().to_string()).collect();
        let aggregator =
            if config.aggregates_logs() { "; the log aggregator writes it on its host" } else { "" };
        bail!("the log file {} does not exist yet{aggregator}", paths.join(" or "));
    }
    Ok(sources)
}

/// Tell where the lines are without a log file.
fn no_file(config: &Config) -> String {
    let output = RunningUp::find(&config.journal.folder).and_then(|running| running.output);
    let console = match output {
        Some(output) => {
            format!("the lines are in the output of \"nowcast up\": tail -f {}", output.display())
        }
        None => "see supervisorctl tail or journalctl, or where the output of the daemons goes".to_owned(),
    };
    format!(
        "the section `logging:` has no file handler at its root, so the lines go to the console only: {console}. Without the section, there \
         are log files"
    )
}

/// Return the entries of all sources in the order of time; the last ones, if a number is given.
fn merged(sources: &mut [LogSource], filter: &Filter, last: Option<usize>) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for source in sources {
        entries.extend(source.read(filter, last)?);
    }
    // Entries of one file stay in their order.
    entries.sort_by_key(|entry| entry.head.time);
    let first = last.map_or(0, |last| entries.len().saturating_sub(last));
    Ok(entries.split_off(first))
}

/// Show the entries before and after an event.
fn around(
    args: &Args,
    number: Number,
    config: Config,
    sources: &[LogSource],
    level: Level,
) -> anyhow::Result<ExitCode> {
    let mut filter = filter(args, level);
    if filter.names.is_empty() {
        filter.names.push(manager::NAME.to_owned());
    }
    let history = History::open(&config.journal.folder)?;
    let context = ViewContext::new(config, history, MachineClock::new().read())?;
    let (time, what) = moment(number, &context)?;
    let mut entries = Vec::new();
    for source in sources {
        entries.extend(source.around(&filter, time)?);
    }
    entries.sort_by_key(|entry| entry.head.time);
    let middle = entries.partition_point(|entry| entry.head.time < time);
    let count = args.lines.unwrap_or(AROUND);
    let after = entries.split_off(middle);
    let before = entries.split_off(entries.len().saturating_sub(count));
    let after = &after[..after.len().min(count)];
    if args.common.json {
        let all: Vec<Entry> = before.into_iter().chain(after.iter().cloned()).collect();
        return Ok(print_json(&all));
    }
    anyhow::ensure!(
        !before.is_empty() || !after.is_empty(),
        "the log files have nothing of {what} any more: they may have been removed by rotation"
    );
    print_entries(&before);
    print::text(&format!("--- {what} ---\n"));
    Ok(print_entries(after))
}

/// Return the time of what has a number, and what it is.
fn moment(number: Number, context: &ViewContext) -> anyhow::Result<(Timestamp, String)> {
    let found = context.history.numbered(number)?;
    let launched = found.run.as_ref().and_then(|run| match &run.stage {
        Stage::Launched { at, .. } => Some(at.wall),
        Stage::Ended { launched, .. } => *launched,
        Stage::Pending { .. } => None,
    });
    let (kind, time) = match launched {
        Some(at) => ("the launch of run", at),
        None if found.is_empty() => {
            bail!("nothing has the number {number}; \"nowcast runs\" and \"nowcast messages\" show numbers")
        }
        None => {
            let event = context.history.event_until(number)?;
            let event = event.with_context(|| format!("the journal has no event of {number} any more"))?;
            ("the decision of", event.at.timestamp())
        }
    };
    Ok((time, format!("{kind} {number} at {}", times::second(time, &context.now))))
}

fn print_entries(entries: &[Entry]) -> ExitCode {
    let text: String = entries.iter().flat_map(|entry| [entry.text.as_str(), "\n"]).collect();
    print::text(&text)
}

fn print_json(entries: &[Entry]) -> ExitCode {
    print::json(&entries.iter().map(EntryView::of).collect::<Vec<_>>())
}
