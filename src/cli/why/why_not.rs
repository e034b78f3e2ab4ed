//! [`WhyNot`]: what blocks a worker, which messages did not launch it, and its latest run. It never calls a rule.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::bail;
use serde::Serialize;

use super::gather::outcome;
use super::page::Page;
use super::reason::{ReasonKind, WhyNotReason};
use super::upstream::{BlockerSearch, RUNS};
use super::{section, shortened};
use crate::cli::read_only::ViewContext;
use crate::cli::times;
use crate::store::journal::{EventFilter, EventKind, OpenItems, RunFilter};
use crate::view::attention::requirements;
use crate::view::hint::Hint;
use crate::view::message::MessageView;
use error_text::question;
use nowcast_core::Join;
use nowcast_core::Number;
use nowcast_core::record::{Outcome, RecordedEvent};

/// The maximum number of a worker's latest messages that are searched for its last report.
const MESSAGES: u32 = 20;

/// The result of `nowcast why WORKER`. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct WhyNot {
    pub worker: String,
    /// The reasons why its launches have not started.
    pub blocked_by: Vec<WhyNotReason>,
    /// The joins that require its message.
    pub dependents: Vec<WhyNotReason>,
    /// Its failed runs before the latest one that no success has repaired.
    pub failed_runs: Vec<WhyNotReason>,
    /// What is open, or has failed, in the workers from which its launch follows.
    pub upstream: Vec<WhyNotReason>,
    /// Messages after its last launch that did not launch it.
    pub not_since: Vec<WhyNotReason>,
    /// Its latest run.
    pub last_run: Option<Page>,
}

impl WhyNot {
    /// Gather the reasons for a worker.
    ///
    /// # Errors
    /// If the worker is unknown, or the journal cannot be read.
    pub(super) fn of(name: &str, context: &ViewContext) -> anyhow::Result<Self> {
        let worker = Some(name.to_owned());
        let runs = context.history.runs(&RunFilter { worker, limit: Some(RUNS), ..RunFilter::default() })?;
        let registry = &context.config.registry.workers;
        if runs.is_empty() && !registry.contains_key(name) && !context.config.workers.contains_key(name) {
            let registered = || registry.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let hint = question(name, registry.keys())
                .unwrap_or_else(|| format!("registered are: {}", registered()));
            bail!("there is no worker {name:?}; {hint}");
        }
        let open = context.history.open_now()?;
        let last = runs.first().map(|run| run.id);
        let search = BlockerSearch::new(&open, context)?;
        let launchers = search.launchers(name)?;
        let mut blocked_by = search.blocked_by(name);
        let upstream = if blocked_by.is_empty() { search.upstream(name, runs.first())? } else { Vec::new() };
        blocked_by.extend(refused(&open));
        let last_cause = runs.first().map(|run| run.cause);
        Ok(Self {
            worker: name.to_owned(),
            blocked_by,
            failed_runs: search.failed_of(name, last),
            dependents: dependents(name, &open),
            upstream,
            not_since: not_since(name, &launchers, last_cause, context)?,
            last_run: runs.first().map(|run| Page::of(run.id, context)).transpose()?,
        })
    }

    pub(super) fn to_text(&self, context: &ViewContext) -> String {
        let mut text = format!("{}\n", self.worker);
        let lines =
            |reasons: &[WhyNotReason]| shortened(&reasons.iter().map(WhyNotReason::text).collect::<Vec<_>>());
        section(&mut text, "BLOCKED BY", &lines(&self.blocked_by));
        section(&mut text, "FAILED RUNS", &lines(&self.failed_runs));
        section(&mut text, "UPSTREAM", &lines(&self.upstream));
        section(&mut text, "DEPENDENTS", &lines(&self.dependents));
        let heading = if self.last_run.is_some() { "NOT LAUNCHED SINCE" } else { "NOT LAUNCHED YET" };
        section(&mut text, heading, &lines(&self.not_since));
        match &self.last_run {
            Some(page) => {
                text.push_str("LAST RUN\n");
                text.push_str(&page.to_text(context));
            }
            None => text.push_str("it has no run yet\n"),
        }
        text
    }
}

fn dependents(name: &str, open: &OpenItems) -> Vec<WhyNotReason> {
    let waits = |join: &&Join| join.requires.iter().any(|requirement| requirement.worker == name);
    let reason = |join: &Join| {
        let text = format!("the join {} of {} {}", join.id, join.name, requirements(join));
        let hint = Hint::new(format!("nowcast why {}", join.id.0));
        WhyNotReason::new(ReasonKind::Dependent, Some(join.id), text, vec![hint])
    };
    open.joins.iter().filter(waits).map(reason).collect()
}

fn refused(open: &OpenItems) -> Option<WhyNotReason> {
    let (number, reason) = open.rules.as_ref()?.refused.as_ref()?;
    let text = format!("the last change of the rules is not in force: {reason}");
    Some(WhyNotReason::new(ReasonKind::Rules, Some(*number), text, vec![Hint::new("nowcast rules check")]))
}

/// Return the last messages of the workers whose rules launch it, if they came after its latest launch.
fn not_since(
    name: &str,
    launchers: &BTreeSet<String>,
    last_cause: Option<Number>,
    context: &ViewContext,
) -> anyhow::Result<Vec<WhyNotReason>> {
    let mut reasons = Vec::new();
    for source in launchers {
        reasons.extend(last_message(name, source, last_cause, context)?);
    }
    Ok(reasons)
}

fn last_message(
    name: &str,
    source: &str,
    last_cause: Option<Number>,
    context: &ViewContext,
) -> anyhow::Result<Option<WhyNotReason>> {
    let messages = context.history.events(&EventFilter {
        worker: Some(source.to_owned()),
        kind: Some(EventKind::Message),
        limit: Some(MESSAGES),
        ..EventFilter::default()
    })?;
    let last = messages.iter().find_map(|record| match &record.event {
        RecordedEvent::Message(message) => match message.outcome {
            Outcome::Answered | Outcome::Retried(_) => None,
            _ => Some((record, message)),
        },
        _ => None,
    });
    let Some((record, message)) = last else {
        let text = format!("{source}, whose rule launches it, has sent no message yet");
        let hint = Hint::new(format!("nowcast why {source}"));
        return Ok(Some(WhyNotReason::new(ReasonKind::Silence, None, text, vec![hint])));
    };
    if last_cause.is_some_and(|cause| record.number <= cause) {
        return Ok(None);
    }
    let launched = context.history.runs_caused_by(record.number)?;
    if launched.iter().any(|run| run.worker.name() == name) {
        return Ok(None);
    }
    let view = MessageView::new(record, message, context)?;
    let mut text =
        format!("message {} {} at {}", record.number, view.label(), times::second(view.time, &context.now));
    if let Some(rule) = view.rule_text() {
        let _ = write!(text, "; {rule}");
    }
    for line in outcome(record, context)? {
        let _ = write!(text, "; {}", line.lines().next().unwrap_or_default());
    }
    let is_parked =
        context.history.numbered(record.number)?.parked.is_some_and(|parked| parked.closed_by.is_none());
    let hint = if is_parked {
        Hint::with_effect(format!("nowcast retry {}", record.number.0), "once the rule is repaired")
    } else {
        Hint::new(format!("nowcast why {}", record.number.0))
    };
    Ok(Some(WhyNotReason::new(ReasonKind::Message, Some(record.number), text, vec![hint])))
}
