//! `nowcast rerun RUN [ARGS]…`, and `nowcast rerun --cycle ID --from WORKER`

use std::collections::HashSet;
use std::process::ExitCode;

use super::bulk::{Bulk, HEADING, Selected};
use super::operate::{CommonOptions, run_number};
use super::read_only::ViewContext;
use super::{USAGE, print, rewind, words};
use crate::store::History;
use crate::store::journal::RunState;
use crate::view::run::label;
use nowcast_core::cycles::NoteScope;
use nowcast_core::join_identity::{IdentifiedJoin, JoinEnd};
use nowcast_core::record::RecordedEvent;
use nowcast_core::rules::Requirement;
use nowcast_core::{Command, CycleOption, NextWorker, Number};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(
    override_usage = "nowcast rerun [OPTIONS] <RUN> [ARGS]...\n       nowcast rerun [OPTIONS] --cycle <ID> --from <WORKER>\n       \
                      nowcast rerun [OPTIONS] --failed|--worker <WORKER>|--host <HOST>|--since <TIME>"
)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Worker to rewind the cycle to: forget its messages and all that followed, and launch it again
    #[arg(long, value_name = "WORKER", requires = "cycle", conflicts_with_all = ["run", "failed", "worker", "host", "since", "dry_run"])]
    from: Option<String>,
    /// Select failed runs
    #[arg(long, help_heading = HEADING, conflicts_with = "run")]
    failed: bool,
    #[command(flatten)]
    bulk: Bulk,
    /// Number of the run, then arguments for the worker in place of the previous ones
    #[arg(required_unless_present_any = SELECTING_RUNS, conflicts_with_all = SELECTING_RUNS, num_args = 1.., value_names = ["RUN", "ARGS"], trailing_var_arg = true, allow_hyphen_values = true)]
    run: Vec<String>,
}

/// The options that stand for a number.
const SELECTING_RUNS: [&str; 6] = ["failed", "worker", "host", "cycle", "since", "dry_run"];

pub(super) fn run(args: &Args) -> ExitCode {
    rerun(args).unwrap_or_else(|status| status)
}

fn rerun(args: &Args) -> Result<ExitCode, ExitCode> {
    if let (Some(cycle), Some(from)) = (&args.bulk.cycle, &args.from) {
        return rewind::run(&args.common, cycle, from, args.bulk.yes);
    }
    if args.run.is_empty() {
        if !args.failed && !args.bulk.is_given() {
            print::complain(
                "--cycle needs another option: add --from WORKER to rewind the cycle, or --failed or --worker WORKER to rerun runs",
            );
            return Err(ExitCode::from(USAGE));
        }
        return Ok(args.bulk.act("Rerun", &args.common, |context| select(args, context)));
    }
    let (run, worker_args) = words::split("rerun", &args.run)?;
    let worker_args = own_arguments(worker_args)?;
    let run = run_number(run).map_err(|error| {
        print::complain(&error);
        ExitCode::from(USAGE)
    })?;
    let config = args.common.load()?;
    let (command, note) = History::open(&config.journal.folder)
        .map_err(anyhow::Error::from)
        .and_then(|history| launch_again(&history, run, worker_args))
        .map_err(|error| {
            print::error(error.as_ref());
            ExitCode::FAILURE
        })?;
    let mut answer = CommonOptions::call(command, &config)?;
    if answer.done {
        answer.text.push_str(&note);
    }
    Ok(args.common.show(&answer))
}

/// Return the arguments of the worker, behind `--` or without it. An option of this command that stands behind the number is refused: it
/// would be the worker's only argument.
fn own_arguments(args: &[String]) -> Result<&[String], ExitCode> {
    match args {
        [first, rest @ ..] if first == "--" => Ok(rest),
        [first, ..] if ["--dry-run", "--yes", "--failed"].contains(&first.as_str()) => {
            print::complain(&format!(
                "{first} behind the number would be an argument of the worker; put it before the number, or \"--\" before it if it is one"
            ));
            Err(ExitCode::from(USAGE))
        }
        args => Ok(args),
    }
}

/// Return the selected runs that have ended, oldest first: of those with the same worker, arguments, host and cycle, and of a run with its
/// retries and reruns, only the latest.
fn select(args: &Args, context: &ViewContext) -> anyhow::Result<Vec<Selected>> {
    let (mut chains, mut works) = (HashSet::new(), HashSet::new());
    let mut selected = Vec::new();
    for run in args.bulk.runs(RunState::Any, context)? {
        let is_latest_of_chain = chains.insert(run.chain());
        let is_latest_of_work = works.insert((label(&run.worker), run.cycle.clone()));
        let has_ended = match run.has_succeeded() {
            Some(succeeded) => run.is_closed() && !(args.failed && succeeded),
            None => false,
        };
        if is_latest_of_chain && is_latest_of_work && has_ended && args.bulk.fits_run(&run) {
            let (command, note) = launch_again(&context.history, run.id, &[])?;
            selected.push(Selected::run(&run, command, context).with_note(note));
        }
    }
    selected.reverse();
    Ok(selected)
}

/// Return the command that launches the worker of a run again, and what its answer does not say: which complete joins have counted the run.
fn launch_again(history: &History, run: Number, args: &[String]) -> anyhow::Result<(Command, String)> {
    let (worker, origin) = worker(history, run, args)?;
    let complete = joins_that_counted(origin, &worker, history)?;
    let rewinds = match &worker.options.cycle {
        Some(CycleOption::Label(cycle)) => {
            format!(" (nowcast rerun --cycle {cycle} --from {} rewinds the cycle)", worker.name())
        }
        _ => String::new(),
    };
    let note = if complete.is_empty() {
        String::new()
    } else {
        let verb = if complete.len() == 1 { "is" } else { "are" };
        format!("; {} {verb} complete and will not launch again{rewinds}", complete.join(", "))
    };
    Ok((Command::Launch { worker, rerun_of: Some(run), origin: Some(origin) }, note))
}

/// Return the complete joins that counted a run of a chain, in words. They launch once, so a rerun does not reopen them.
fn joins_that_counted(origin: Number, worker: &NextWorker, history: &History) -> anyhow::Result<Vec<String>> {
    let scope = worker.options.cycle.clone().and_then(CycleOption::into_label).map(NoteScope::Cycle);
    let may_count = |identity: &IdentifiedJoin, required: &Requirement| {
        let counted = identity.scope_of(required);
        required.worker == worker.name() && (matches!(counted, NoteScope::Since(_)) || Some(counted) == scope)
    };
    let mut found = Vec::new();
    for join in history.open_now()?.ended_joins {
        let Some(identity) = &join.identity else { continue };
        let is_complete = matches!(identity.end, Some(JoinEnd::Completed | JoinEnd::Released));
        if !is_complete || !identity.wait_for.iter().any(|required| may_count(identity, required)) {
            continue;
        }
        for message in &join.received {
            if chain_of(*message, history)? == Some(origin) {
                found.push(match &identity.scope {
                    NoteScope::Cycle(cycle) => format!("join {} {} of cycle {cycle}", join.id, join.name),
                    NoteScope::Since(_) => format!("join {} {}", join.id, join.name),
                });
                break;
            }
        }
    }
    Ok(found)
}

/// Return the chain of runs for which a message reports.
fn chain_of(message: Number, history: &History) -> anyhow::Result<Option<Number>> {
    let Some(RecordedEvent::Message(message)) = history.event(message)?.map(|record| record.event) else {
        return Ok(None);
    };
    let run = message.run.map(|run| history.run(run)).transpose()?.flatten();
    Ok(run.map(|run| run.chain()))
}

/// Return the launch of the run's worker in the same cycle, without its delay, and the first run of its chain.
fn worker(history: &History, number: Number, args: &[String]) -> anyhow::Result<(NextWorker, Number)> {
    let Some(run) = history.run(number)? else {
        anyhow::bail!("there is no run {number}; \"nowcast runs\" lists runs");
    };
    let name = run.worker.name();
    if run.is_running() {
        anyhow::bail!("{name} (run {number}) is still running; \"nowcast kill {}\" stops it", number.0);
    }
    if run.has_succeeded().is_none() && !run.is_closed() {
        anyhow::bail!("{name} (run {number}) is pending; \"nowcast why {}\" shows what blocks it", number.0);
    }
    let origin = run.chain();
    let mut worker = run.worker;
    (worker.options.delay, worker.options.at, worker.location) = (None, None, None);
    worker.options.cycle = Some(CycleOption::same_as(run.cycle.as_ref()));
    if !args.is_empty() {
        worker.args = args.to_vec();
    }
    Ok((worker, origin))
}
