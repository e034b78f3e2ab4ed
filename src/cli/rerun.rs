//! `nowcast rerun RUN [ARGS]…`, and `nowcast rerun --cycle ID --from WORKER`

use std::process::ExitCode;

use super::operate::{CommonOptions, run_number};
use super::{USAGE, cycle_option, print, rewind, words};
use crate::store::History;
use nowcast_core::cycles::NoteScope;
use nowcast_core::join_identity::{IdentifiedJoin, JoinEnd};
use nowcast_core::record::RecordedEvent;
use nowcast_core::rules::Requirement;
use nowcast_core::{Command, Cycle, CycleOption, NextWorker, Number};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(
    override_usage = "nowcast rerun [OPTIONS] <RUN> [ARGS]...\n       nowcast rerun [OPTIONS] --cycle <ID> --from <WORKER>"
)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Cycle to rewind: forget the messages of a worker and all that followed, and launch the worker again
    #[arg(long, value_name = "ID", value_parser = cycle_option::label, requires = "from", conflicts_with = "run")]
    cycle: Option<Cycle>,
    /// Worker to rewind the cycle to
    #[arg(long, value_name = "WORKER", requires = "cycle", conflicts_with = "run")]
    from: Option<String>,
    /// Rewind without asking
    #[arg(long, requires = "cycle", conflicts_with = "run")]
    yes: bool,
    /// Number of the run, then arguments for the worker in place of the previous ones
    #[arg(required_unless_present = "cycle", num_args = 1.., value_names = ["RUN", "ARGS"], trailing_var_arg = true, allow_hyphen_values = true)]
    run: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    rerun(args).unwrap_or_else(|status| status)
}

fn rerun(args: &Args) -> Result<ExitCode, ExitCode> {
    if let (Some(cycle), Some(from)) = (&args.cycle, &args.from) {
        return rewind::run(&args.common, cycle, from, args.yes);
    }
    let (run, worker_args) = words::split("rerun", &args.run)?;
    let run = run_number(run).map_err(|error| {
        print::complain(&error);
        ExitCode::from(USAGE)
    })?;
    let config = args.common.load()?;
    let (worker, origin, complete) = History::open(&config.journal.folder)
        .map_err(anyhow::Error::from)
        .and_then(|history| {
            let (worker, origin) = worker(&history, run, worker_args)?;
            let complete = joins_that_counted(origin, &worker, &history)?;
            Ok((worker, origin, complete))
        })
        .map_err(|error| {
            print::error(error.as_ref());
            ExitCode::FAILURE
        })?;
    let rewinds = match &worker.options.cycle {
        Some(CycleOption::Label(cycle)) => {
            format!(" (nowcast rerun --cycle {cycle} --from {} rewinds the cycle)", worker.name())
        }
        _ => String::new(),
    };
    let command = Command::Launch { worker, rerun_of: Some(run), origin: Some(origin) };
    let mut answer = CommonOptions::call(command, &config)?;
    if answer.done && !complete.is_empty() {
        let verb = if complete.len() == 1 { "is" } else { "are" };
        answer.text = format!(
            "{}; {} {verb} complete and will not launch again{rewinds}",
            answer.text,
            complete.join(", ")
        );
    }
    Ok(args.common.show(&answer))
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
