//! `nowcast rules replay`: replays past messages, or a recording, with edited rules. It never launches anything.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::super::{print, times};
use super::RulesOptions;
use crate::config::Config;
use crate::rules::Engine;
use crate::store::History;
use crate::trial::recording;
use crate::trial::replay::{self, ReplayOptions, ReplaySummary};
use pyyaml::Map;

/// The template of the progress bar.
const BAR: &str = "replaying {wide_bar} {percent}%";

const EXIT_STATUS: &str = "Exit status: 0 if the messages were replayed, even if some differ; 1 if a rule fails that did not fail before, \
    if the journal or the recording cannot be read, or, with --exit-code, if anything differs; 2 if the configuration or the rules are invalid.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Args {
    #[command(flatten)]
    which: RulesOptions,
    /// Replay messages since this time, such as 2d, 06:00 or 2026-03-14 [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = times::since, conflicts_with = "recording")]
    since: Option<Timestamp>,
    /// Replay messages until this time, such as 2d, 06:00 or 2026-03-14
    #[arg(long, value_name = "TIME", value_parser = times::since, conflicts_with = "recording")]
    until: Option<Timestamp>,
    /// Replay only messages of this worker
    #[arg(long)]
    worker: Option<String>,
    #[command(flatten)]
    recording: Recording,
    /// Show every difference instead of grouping similar ones
    #[arg(long)]
    all: bool,
    /// Exit with status 1 if anything differs or is not reproducible
    #[arg(long)]
    exit_code: bool,
}

/// The options of a recording, replayed instead of the journal.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Recording {
    /// Replay a recording of "nowcast broker --record" instead of the journal
    #[arg(id = "recording", long = "recording", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Initial checklist of the recording, as YAML [default: empty]
    #[arg(long, value_name = "FILE", requires = "recording")]
    checklist: Option<PathBuf>,
    /// Use the current checklist as the initial checklist of the recording
    #[arg(long, requires = "recording", conflicts_with = "checklist")]
    live_checklist: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (config, engine) = match args.which.load() {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let done = match &args.recording.file {
        Some(file) => recorded(args, file, &config, &engine),
        None => past(args, &config, &engine),
    };
    done.unwrap_or_else(|error| {
        print::error(error.as_ref());
        ExitCode::FAILURE
    })
}

fn past(args: &Args, config: &Config, engine: &Engine) -> anyhow::Result<ExitCode> {
    let options = ReplayOptions {
        since: Some(args.since.map_or_else(default_since, Ok)?),
        until: Some(args.until.unwrap_or_else(Timestamp::now)),
        worker: args.worker.clone(),
        each: args.all,
    };
    let history = History::open(&config.journal.folder)?;
    let report = replay::replay(&history, config, engine, &options, &progress())?;
    let printed =
        if args.which.common.json { print::json(&report.document()) } else { print::text(&report.text()) };
    let ReplaySummary { newly_fail, differ, not_reproducible, .. } = report.summary;
    Ok(if newly_fail > 0 || (args.exit_code && differ + not_reproducible > 0) {
        ExitCode::FAILURE
    } else {
        printed
    })
}

/// Return the default start of a replay.
pub(super) fn default_since() -> anyhow::Result<Timestamp> {
    times::since("7d").map_err(anyhow::Error::msg)
}

fn recorded(args: &Args, file: &Path, config: &Config, engine: &Engine) -> anyhow::Result<ExitCode> {
    let checklist = match &args.recording.checklist {
        Some(file) => read_checklist(file)?,
        None if args.recording.live_checklist => History::open(&config.journal.folder)?.checklist_now()?,
        None => Map::new(),
    };
    let options = recording::RecordingOptions { checklist, each: args.all, worker: args.worker.clone() };
    let unreadable = || format!("cannot read the recording {}", file.display());
    let open = File::open(file).with_context(unreadable)?;
    let report =
        recording::replay(BufReader::new(open), config, engine, &options).with_context(unreadable)?;
    let printed =
        if args.which.common.json { print::json(&report.document()) } else { print::text(&report.text()) };
    let is_bad = report.summary.fail > 0 || (args.exit_code && report.differs());
    Ok(if is_bad { ExitCode::FAILURE } else { printed })
}

fn read_checklist(file: &Path) -> anyhow::Result<Map> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read the checklist {name}"))?;
    let value =
        pyyaml::read_bytes(&bytes).with_context(|| format!("the checklist {name} is not valid YAML"))?;
    let Some(entries) = value.as_map() else {
        anyhow::bail!("{name} is not a checklist: it is {}, not a mapping", value.kind());
    };
    Ok(entries.clone())
}

/// Return a function that draws a progress bar on a terminal. The bar disappears when the function is dropped.
pub(super) fn progress() -> impl Fn(u64, u64) {
    let bar: OnceCell<Bar> = OnceCell::new();
    let shows = io::stderr().is_terminal();
    move |done, all| {
        if shows {
            bar.get_or_init(|| Bar::new(all)).0.set_position(done);
        }
    }
}

struct Bar(ProgressBar);

impl Bar {
    fn new(all: u64) -> Self {
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(all).with_style(style))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
