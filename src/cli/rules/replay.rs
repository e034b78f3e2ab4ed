//! `nowcast rules replay`: the messages of the past through edited rules.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::super::{print, times};
use super::Which;
use crate::config::Config;
use crate::rules::Engine;
use crate::store::History;
use crate::trial::replay::{self, Options, Report};

/// What an operator hears of it at the end of a terminal's line.
const BAR: &str = "replaying {wide_bar} {percent}%";

/// How long it takes before there is a bar.
const SOON: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Messages not older than that: 2d, 06:00, 2026-03-14
    #[arg(long, value_parser = times::since, default_value = "7d")]
    since: Timestamp,
    /// Messages before that: 2d, 06:00, 2026-03-14
    #[arg(long, value_parser = times::since)]
    until: Option<Timestamp>,
    /// Messages of this worker only
    #[arg(long)]
    worker: Option<String>,
    /// Show each difference, also where many are alike
    #[arg(long)]
    all: bool,
    /// Exit with status 1 if anything differs, not only if a rule fails that did not
    #[arg(long)]
    exit_code: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (config, engine) = match args.which.load() {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let options = Options {
        since: Some(args.since),
        until: Some(args.until.unwrap_or_else(Timestamp::now)),
        worker: args.worker.clone(),
        each: args.all,
    };
    let report = match of_journal(&config, &engine, &options) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{}", print::clean(&format!("{error:#}")));
            return ExitCode::FAILURE;
        }
    };
    let printed = if args.json { print::json(&report.document()) } else { print::text(&report.text()) };
    let summary = &report.summary;
    if summary.newly_fail > 0 || (args.exit_code && summary.differ > 0) { ExitCode::FAILURE } else { printed }
}

/// Replays the journal of a configuration; a terminal shows how far it is.
pub(super) fn of_journal(config: &Config, engine: &Engine, options: &Options) -> anyhow::Result<Report> {
    let history = History::open(&config.journal.folder)?;
    let start = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    let shows = io::stderr().is_terminal();
    let report = replay::replay(&history, config, engine, options, &mut |done, all| {
        if bar.is_none() && shows && start.elapsed() > SOON {
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar = Some(ProgressBar::new(all).with_style(style));
        }
        if let Some(bar) = &bar {
            bar.set_position(done);
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(report?)
}
