//! Failed runs without a later success, grouped into one item for each kind of failure.

use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};
use jiff::{SignedDuration, ZonedDateTime};

use super::attention::{self, Attention, AttentionKind};
use super::context::ViewContext;
use super::hint::Hint;
use super::output::last_lines;
use super::run::{RunView, label};
use super::times;
use crate::store::journal::{Acknowledgement, JournalError, OpenItems, RunFilter, RunState};
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::record::RecordedEvent;
use nowcast_core::run::Stage;
use nowcast_core::{Command, Cycle, Cycles, Ending, Run, RunId};

/// The time for which a failed run is shown.
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The maximum number of runs of one worker that are searched for a success.
const SEARCHED: u32 = 500;

/// The lines of the output of a failed run that an item has.
pub const OUTPUT_LINES: usize = 10;

/// The common properties of the failures of a group; arguments may differ. Acknowledged failures are a separate group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FailureKind {
    worker: String,
    host: String,
    ending: String,
    report: Option<String>,
    is_acknowledged: bool,
}

impl FailureKind {
    fn of(run: &Run, ending: &Ending, is_acknowledged: bool) -> Self {
        Self {
            worker: run.worker.name().to_owned(),
            host: run.worker.host.clone(),
            ending: ending.to_string(),
            report: run.report.as_ref().map(|report| report.r#type.clone()),
            is_acknowledged,
        }
    }
}

/// Runs that failed alike, the latest first: one item for an operator.
pub struct FailureGroup {
    pub runs: Vec<Run>,
    /// The acknowledgement of the latest run, if the group is acknowledged.
    pub acknowledged: Option<Acknowledgement>,
}

/// Return the runs that failed within the last day and were not followed by a success with the same worker, arguments,
/// host and cycle, grouped by kind of failure. Earlier failures with the same arguments are grouped with the latest.
///
/// # Errors
///
/// When the journal cannot be read.
pub fn failures(context: &ViewContext) -> Result<Vec<FailureGroup>, JournalError> {
    // A run may have been decided long before it ended.
    let since = context.now.timestamp().checked_sub(SHOWN_FOR * 7).ok();
    let failed =
        context.history.runs(&RunFilter { state: RunState::Failed, since, ..RunFilter::default() })?;
    let oldest = failed.last().map(|run| run.id).unwrap_or_default();
    let mut acknowledged = context.history.acknowledged_since(oldest)?;
    let mut successes = Successes::default();
    let cycles = if failed.iter().any(|run| run.cycle.is_some()) {
        context.history.cycles_now()?
    } else {
        Cycles::default()
    };
    let mut kind_of: HashMap<(String, Option<Cycle>, bool), FailureKind> = HashMap::new();
    let mut groups: IndexMap<FailureKind, FailureGroup> = IndexMap::new();
    for run in failed {
        let Stage::Ended { at, ending, .. } = &run.stage else { continue };
        let is_recent = context.present.steady.since(at.steady) <= SHOWN_FOR;
        // Such a cycle needs no success.
        let is_abandoned = run.cycle.as_ref().is_some_and(|cycle| cycles.is_abandoned(cycle));
        if !is_recent
            || is_abandoned
            || successes.last(context, &run)?.is_some_and(|success| success > run.id)
        {
            continue;
        }
        let acknowledgement = acknowledged.remove(&run.id);
        let is_acknowledged = acknowledgement.is_some();
        let kind = kind_of
            .entry((label(&run.worker), run.cycle.clone(), is_acknowledged))
            .or_insert_with(|| FailureKind::of(&run, ending, is_acknowledged));
        let group = groups
            .entry(kind.clone())
            .or_insert_with(|| FailureGroup { runs: Vec::new(), acknowledged: acknowledgement });
        group.runs.push(run);
    }
    Ok(groups.into_values().collect())
}

/// Return who acknowledged a failure, when and why, for a person.
pub fn acknowledged_by(acknowledgement: &Acknowledgement, now: &ZonedDateTime) -> String {
    let Acknowledgement { user, time, reason } = acknowledgement;
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("acknowledged by {user} at {}{reason}", times::minute(*time, now))
}

/// Return the attention items of the failures.
pub(super) fn of_failed_runs(
    context: &ViewContext,
    open: &OpenItems,
) -> Result<Vec<Attention>, JournalError> {
    failures(context)?.iter().map(|failure| item(failure, context, open)).collect()
}

/// Return the item of runs that failed alike.
fn item(failure: &FailureGroup, context: &ViewContext, open: &OpenItems) -> Result<Attention, JournalError> {
    let runs = &failure.runs;
    let latest = &runs[0];
    let number = latest.id.0;
    let labels: HashSet<String> = runs.iter().map(|run| label(&run.worker)).collect();
    let subject = match (labels.len(), latest.worker.host.as_str()) {
        (1, _) => label(&latest.worker),
        (_, LOCALHOST) => latest.worker.name().to_owned(),
        (_, host) => format!("{} on {host}", latest.worker.name()),
    };
    let cycles: IndexSet<String> = runs.iter().flat_map(|run| attention::labels(&run.cycle)).collect();
    let cycles = cycles.into_iter().collect();
    let mut not_retried = None;
    let mut retried_by = None;
    for run in runs {
        match retry_of(context, open, run)? {
            Some(retry) => retried_by = retried_by.or(Some(retry.id.0)),
            None => not_retried = not_retried.or(Some(run.id.0)),
        }
    }
    let retried_by = retried_by.filter(|_| not_retried.is_none());
    let mut hints =
        vec![Hint::new(format!("nowcast why {number}")), Hint::new(format!("nowcast tail {number}"))];
    hints.extend(not_retried.map(|run| Hint::new(format!("nowcast rerun {run}"))));
    if failure.acknowledged.is_none() {
        hints.push(Hint::new(format!("nowcast ack {number}")));
    }
    let is_killed = matches!(latest.stage, Stage::Ended { ending: Ending::Killed(9), .. });
    if is_killed && latest.stop_requested.is_none() && latest.worker.host == LOCALHOST {
        hints.push(Hint::with_effect("dmesg -T | grep -i 'killed process'", "if memory ran out"));
    }
    let view = RunView::new(latest, context);
    Ok(Attention {
        number: Some(number),
        numbers: runs.iter().map(|run| run.id.0).collect(),
        since: latest.exited(),
        cycles,
        retried_by,
        acknowledged: failure.acknowledged.clone(),
        output: view.output.as_deref().map(|file| last_lines(file, OUTPUT_LINES)).unwrap_or_default(),
        hints,
        ..Attention::new(AttentionKind::Failed, subject, view.description(&context.now))
    })
}

/// The successful runs of each worker, read once.
#[derive(Default)]
struct Successes {
    /// The runs of each worker and cycle that succeeded, the latest first.
    of_worker: HashMap<(String, Option<Cycle>), Vec<Run>>,
}

impl Successes {
    fn last(&mut self, context: &ViewContext, failed: &Run) -> Result<Option<RunId>, JournalError> {
        let key = (failed.worker.name().to_owned(), failed.cycle.clone());
        if !self.of_worker.contains_key(&key) {
            let mut runs = latest_like(context, failed)?;
            runs.retain(|run| run.has_succeeded() == Some(true));
            self.of_worker.insert(key.clone(), runs);
        }
        let is_equal = |run: &&Run| is_same(run, failed);
        Ok(self.of_worker.get(&key).and_then(|runs| runs.iter().find(is_equal)).map(|run| run.id))
    }
}

/// Return the latest runs of a run's worker and cycle, the latest first.
fn latest_like(context: &ViewContext, run: &Run) -> Result<Vec<Run>, JournalError> {
    context.history.runs(&RunFilter {
        worker: Some(run.worker.name().to_owned()),
        cycle: run.cycle.as_ref().map(Cycle::to_string),
        limit: Some(SEARCHED),
        ..RunFilter::default()
    })
}

/// Return the latest run that repeats another one, if there is any. Without a cycle, an equal launch may be that of another day.
///
/// # Errors
///
/// When the journal cannot be read.
pub fn repeated_by(context: &ViewContext, run: &Run) -> Result<Option<Run>, JournalError> {
    for other in latest_like(context, run)? {
        let is_later = other.id > run.id && is_same(&other, run);
        if is_later
            && (run.cycle.is_some() || other.retry_of == Some(run.id) || is_rerun(context, &other, run)?)
        {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Return the open run that repeats a failed one: its retry, or a rerun by an operator.
fn retry_of<'a>(
    context: &ViewContext,
    open: &'a OpenItems,
    failed: &Run,
) -> Result<Option<&'a Run>, JournalError> {
    for run in open.runs.iter().filter(|run| run.id > failed.id) {
        let is_retry = run.retry_of == Some(failed.id);
        if is_retry || (is_same(run, failed) && is_rerun(context, run, failed)?) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

fn is_rerun(context: &ViewContext, run: &Run, failed: &Run) -> Result<bool, JournalError> {
    let cause = context.history.event(run.cause)?.map(|event| event.event);
    Ok(match cause {
        Some(RecordedEvent::Command { command: Command::Launch { rerun_of, .. }, .. }) => {
            rerun_of == Some(failed.id)
        }
        Some(RecordedEvent::Command { command: Command::Rewind(rewind), .. }) => {
            rewind.launches.iter().any(|repeated| repeated.rerun_of == failed.id)
        }
        _ => false,
    })
}

/// Whether runs do the same for the same cycle: a success in another cycle repairs nothing.
pub fn is_same(one: &Run, other: &Run) -> bool {
    one.worker.name() == other.worker.name()
        && one.cycle == other.cycle
        && one.worker.args == other.worker.args
        && one.worker.host == other.worker.host
}
