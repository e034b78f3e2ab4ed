//! Failed runs that nobody has made good: which they are, and which of them are one thing to look at.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use jiff::SignedDuration;

use super::attention::{Attention, AttentionKind};
use super::context::ViewContext;
use super::hint::Hint;
use super::run::{RunView, label};
use crate::store::journal::{JournalError, Open, RunFilter, RunState};
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::record::What;
use nowcast_core::run::Stage;
use nowcast_core::{Command, Ending, Run, RunId};

/// How long a failed run is shown.
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Runs of one worker that are searched for a success.
const SEARCHED: u32 = 500;

/// Failures of one worker that ended alike are one thing to look at, whatever their arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Likeness {
    worker: String,
    host: String,
    ending: String,
    report: Option<String>,
}

impl Likeness {
    fn of(run: &Run, ending: &Ending) -> Self {
        Self {
            worker: run.worker.name().to_owned(),
            host: run.worker.host.clone(),
            ending: ending.to_string(),
            report: run.report.as_ref().map(|report| report.r#type.clone()),
        }
    }
}

/// Runs that failed within the last day and were not followed by a success with the same worker, arguments and host:
/// one item for those that failed alike. Earlier failures with the same arguments count with the latest.
pub(super) fn of_failed_runs(context: &ViewContext, open: &Open) -> Result<Vec<Attention>, JournalError> {
    // A run may have been decided long before it ended.
    let since = context.now.timestamp().checked_sub(SHOWN_FOR * 7).ok();
    let failed =
        context.history.runs(&RunFilter { state: RunState::Failed, since, ..RunFilter::default() })?;
    let mut successes = Successes::default();
    let mut likeness_of: HashMap<String, Likeness> = HashMap::new();
    let mut groups: IndexMap<Likeness, Vec<Run>> = IndexMap::new();
    for run in failed {
        let Stage::Ended { at, ending, .. } = &run.stage else { continue };
        let is_recent = context.now.timestamp().duration_since(*at) <= SHOWN_FOR;
        if !is_recent || successes.last(context, &run)?.is_some_and(|success| success > run.id) {
            continue;
        }
        let likeness = likeness_of.entry(label(&run.worker)).or_insert_with(|| Likeness::of(&run, ending));
        groups.entry(likeness.clone()).or_default().push(run);
    }
    groups.values().map(|runs| item(runs, context, open)).collect()
}

/// The item of runs that failed alike, the latest first.
fn item(runs: &[Run], context: &ViewContext, open: &Open) -> Result<Attention, JournalError> {
    let latest = &runs[0];
    let number = latest.id.0;
    let labels: HashSet<String> = runs.iter().map(|run| label(&run.worker)).collect();
    let subject = match (labels.len(), latest.worker.host.as_str()) {
        (1, _) => label(&latest.worker),
        (_, LOCALHOST) => latest.worker.name().to_owned(),
        (_, host) => format!("{} on {host}", latest.worker.name()),
    };
    let retried_by = retry_of(context, open, latest)?.map(|run| run.id.0);
    let mut hints =
        vec![Hint::new(format!("nowcast why {number}")), Hint::new(format!("nowcast tail {number}"))];
    if retried_by.is_none() {
        hints.push(Hint::new(format!("nowcast rerun {number}")));
    }
    let view = RunView::new(latest, context);
    Ok(Attention {
        number: Some(number),
        numbers: runs.iter().map(|run| run.id.0).collect(),
        since: latest.ended_at(),
        retried_by,
        hints,
        ..Attention::new(AttentionKind::Failed, subject, view.fate(&context.now))
    })
}

/// The latest success with each worker, arguments and host.
#[derive(Default)]
struct Successes {
    /// The runs of each worker that succeeded, the latest first.
    of_worker: HashMap<String, Vec<Run>>,
}

impl Successes {
    fn last(&mut self, context: &ViewContext, failed: &Run) -> Result<Option<RunId>, JournalError> {
        let name = failed.worker.name();
        if !self.of_worker.contains_key(name) {
            let worker = Some(name.to_owned());
            let mut runs =
                context.history.runs(&RunFilter { worker, limit: Some(SEARCHED), ..RunFilter::default() })?;
            runs.retain(|run| run.has_succeeded() == Some(true));
            self.of_worker.insert(name.to_owned(), runs);
        }
        let like_it = |run: &&Run| is_same(run, failed);
        Ok(self.of_worker.get(name).and_then(|runs| runs.iter().find(like_it)).map(|run| run.id))
    }
}

/// The open run that tries a failed one again, as its retry or because an operator ran it again.
fn retry_of<'a>(
    context: &ViewContext,
    open: &'a Open,
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
    let cause = context.history.event(run.cause)?.map(|event| event.what);
    let again = match cause {
        Some(What::Command { command: Command::Launch { again, .. }, .. }) => again,
        _ => None,
    };
    Ok(again == Some(failed.id))
}

fn is_same(one: &Run, other: &Run) -> bool {
    one.worker.name() == other.worker.name()
        && one.worker.args == other.worker.args
        && one.worker.host == other.worker.host
}
