//! `nowcast shutdown`: stops the daemons of `nowcast up`, and the workers only if that is requested.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::Serialize;

use super::operate::CommonOptions;
use super::read_only::ViewContext;
use super::up_request::{check, exit, request};
use super::{print, times};
use crate::clock::MachineClock;
use crate::config::{Config, duration};
use crate::store::journal::{RunFilter, RunState};
use crate::store::{History, JournalError};
use crate::supervise::request::{DaemonResult, UpCommand};
use crate::view::run::{RunView, label};
use nowcast_core::hold::HoldTarget;
use nowcast_core::{Command, Run};

/// The pause between two looks whether workers have ended.
const PAUSE: Duration = Duration::from_millis(100);

/// The reason of the hold while workers are stopped.
const REASON: &str = "nowcast shutdown --workers";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Stop running workers first: send SIGTERM, then SIGKILL
    #[arg(long)]
    workers: bool,
    /// Timeout for workers to stop; if one still runs then, the daemons are not stopped
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = duration::parse)]
    timeout: SignedDuration,
}

/// What was stopped, and what continues. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct ShutdownReport {
    done: bool,
    text: String,
    daemons: Vec<DaemonResult>,
    workers: Vec<RunningWorker>,
}

#[derive(Debug, Serialize)]
struct RunningWorker {
    run: u64,
    worker: String,
    process: Option<i32>,
    since: Option<Timestamp>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    shut_down(args).unwrap_or_else(|status| status)
}

fn shut_down(args: &Args) -> Result<ExitCode, ExitCode> {
    let config = args.common.load()?;
    let failed = |error: anyhow::Error| {
        print::error(error.as_ref());
        ExitCode::FAILURE
    };
    let end = Instant::now() + args.timeout.unsigned_abs();
    if args.workers {
        check(&UpCommand::Shutdown, &config)?;
        stop_workers(args, &config, end)?.map_err(failed)?;
    }
    let limit = end.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
    let answer = request(UpCommand::Shutdown, &config, limit)?;
    let workers = running_workers(config).map_err(failed)?;
    let report = ShutdownReport { done: answer.done, text: answer.text, daemons: answer.daemons, workers };
    Ok(if args.common.json { exit(report.done, print::json(&report)) } else { show(&report) })
}

fn show(report: &ShutdownReport) -> ExitCode {
    let names: Vec<&str> = report.daemons.iter().map(|daemon| daemon.name.as_str()).collect();
    let mut text = format!("stopped: {}\n", names.join(", "));
    if !report.workers.is_empty() {
        text.push_str(
            "these workers continue; the next manager adopts them (--workers would have stopped them):\n",
        );
    }
    let now = ZonedDateTime::now();
    for worker in &report.workers {
        let process = worker.process.map_or_else(|| "unknown".to_owned(), |process| process.to_string());
        let since = worker.since.map(|at| format!(", since {}", times::second(at, &now)));
        let (run, name) = (worker.run, &worker.worker);
        let _ = writeln!(text, "  #{run} {name}, process {process}{}", since.unwrap_or_default());
    }
    print::text(&text)
}

/// Stop all workers through the manager. Meanwhile nothing is launched: what becomes due is pending until the hold ends.
fn stop_workers(args: &Args, config: &Config, end: Instant) -> Result<anyhow::Result<()>, ExitCode> {
    let hold = Command::Hold {
        target: HoldTarget::All,
        until: None,
        duration: Some(args.timeout),
        reason: Some(REASON.to_owned()),
    };
    let held = CommonOptions::call(hold, config)?;
    let mut killed = BTreeSet::new();
    loop {
        let runs = match running(config) {
            Ok(runs) => runs,
            Err(error) => return Ok(Err(error)),
        };
        if runs.is_empty() {
            return Ok(Ok(()));
        }
        if Instant::now() >= end {
            for number in held.numbers {
                CommonOptions::call(Command::Release { number }, config)?;
            }
            return Ok(still_running(&runs));
        }
        for run in runs.iter().map(|run| run.id).filter(|run| killed.insert(*run)) {
            CommonOptions::call(Command::Kill { run }, config)?;
        }
        std::thread::sleep(PAUSE);
    }
}

fn still_running(runs: &[Run]) -> anyhow::Result<()> {
    let names: Vec<String> = runs.iter().map(|run| format!("{} {}", run.id, label(&run.worker))).collect();
    anyhow::bail!(
        "these workers have not ended in time, so the daemons were not stopped: {}; give them more time with --timeout, or leave them with \
         \"nowcast shutdown\"",
        names.join(", ")
    )
}

fn running(config: &Config) -> anyhow::Result<Vec<Run>> {
    let history = match History::open(&config.journal.folder) {
        Err(JournalError::None { .. }) => return Ok(Vec::new()),
        history => history?,
    };
    let filter = RunFilter { state: RunState::Open, ..RunFilter::default() };
    Ok(history.runs(&filter)?.into_iter().filter(Run::is_running).collect())
}

fn running_workers(config: Config) -> anyhow::Result<Vec<RunningWorker>> {
    let runs = running(&config)?;
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let history = History::open(&config.journal.folder)?;
    let context = ViewContext::new(config, history, MachineClock::new().read())?;
    let worker = |run: &Run| {
        let view = RunView::new(run, &context);
        let process = context.run_folder(run).and_then(|folder| folder.live_process().ok().flatten());
        let process = process.map(|process| process.pid);
        RunningWorker { run: view.number, worker: view.label(), process, since: view.started }
    };
    // The oldest first.
    Ok(runs.iter().rev().map(worker).collect())
}
