//! `nowcast rules replay`: the messages of the past, or of a recording, through edited rules.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::super::{print, times};
use super::Which;
use crate::config::Config;
use crate::rules::Engine;
use crate::store::History;
use crate::trial::recording;
use crate::trial::replay::{self, Options, Summary};
use pyyaml::Map;

/// What a terminal shows of a replay.
const BAR: &str = "replaying {wide_bar} {percent}%";

const EXIT_STATUS: &str = "Exit status: 0 when the messages were replayed, also if some differ; 1 if a rule fails that did not, \
                           with --exit-code if anything differs or is not reproducible, or if journal or recording cannot be read; 2 if \
                           configuration or rules cannot be used.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Messages not older than that: 2d, 06:00, 2026-03-14; without it 7d
    #[arg(long, value_parser = times::since, conflicts_with = "recording")]
    since: Option<Timestamp>,
    /// Messages before that: 2d, 06:00, 2026-03-14
    #[arg(long, value_parser = times::since, conflicts_with = "recording")]
    until: Option<Timestamp>,
    /// Messages of this worker only
    #[arg(long)]
    worker: Option<String>,
    #[command(flatten)]
    recording: Recording,
    /// Show each difference, also where many are alike
    #[arg(long)]
    all: bool,
    /// Exit with status 1 if anything differs or is not reproducible, not only if a rule fails that did not
    #[arg(long)]
    exit_code: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// A recording in the place of the journal.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Recording {
    /// In the place of the journal a recording of nowcast broker --record
    #[arg(id = "recording", long = "recording", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The checklist with which a recording begins, as YAML; empty without it
    #[arg(long, value_name = "FILE", requires = "recording")]
    checklist: Option<PathBuf>,
    /// Let a recording begin with the checklist of now
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
    let options = Options {
        since: Some(args.since.map_or_else(default_since, Ok)?),
        until: Some(args.until.unwrap_or_else(Timestamp::now)),
        worker: args.worker.clone(),
        each: args.all,
    };
    let history = History::open(&config.journal.folder)?;
    let report = replay::replay(&history, config, engine, &options, &progress())?;
    let printed = if args.json { print::json(&report.document()) } else { print::text(&report.text()) };
    let Summary { newly_fail, differ, not_reproducible, .. } = report.summary;
    Ok(if newly_fail > 0 || (args.exit_code && differ + not_reproducible > 0) {
        ExitCode::FAILURE
    } else {
        printed
    })
}

/// From when on, unless it is said.
pub(super) fn default_since() -> anyhow::Result<Timestamp> {
    times::since("7d").map_err(anyhow::Error::msg)
}

fn recorded(args: &Args, file: &Path, config: &Config, engine: &Engine) -> anyhow::Result<ExitCode> {
    let checklist = match &args.recording.checklist {
        Some(file) => read_checklist(file)?,
        None if args.recording.live_checklist => History::open(&config.journal.folder)?.checklist_now()?,
        None => Map::new(),
    };
    let options = recording::Options { checklist, each: args.all, worker: args.worker.clone() };
    let unreadable = || format!("the recording {} cannot be read", file.display());
    let open = File::open(file).with_context(unreadable)?;
    let report =
        recording::replay(BufReader::new(open), config, engine, &options).with_context(unreadable)?;
    let printed = if args.json { print::json(&report.document()) } else { print::text(&report.text()) };
    let is_bad = report.summary.fail > 0 || (args.exit_code && report.differs());
    Ok(if is_bad { ExitCode::FAILURE } else { printed })
}

fn read_checklist(file: &Path) -> anyhow::Result<Map> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("the checklist {name} cannot be read"))?;
    let value = pyyaml::read_bytes(&bytes).with_context(|| format!("the checklist {name} is not YAML"))?;
    let Some(entries) = value.as_map() else {
        anyhow::bail!("{name} is no checklist: it holds {}, and not a mapping", value.kind());
    };
    Ok(entries.clone())
}

/// A bar on a terminal that says how far a replay is; it goes when this is dropped.
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
