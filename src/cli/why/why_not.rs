//! [`WhyNot`]: what blocks a worker, which messages did not launch it, and its latest run. It never calls a rule.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::bail;
use serde::Serialize;

use super::gather::{hints_for_pending, outcome};
use super::page::Page;
use super::{hint_lines, section, shortened};
use crate::cli::read_only::ViewContext;
use crate::cli::times;
use crate::rules::RuleSet;
use crate::store::journal::{EventFilter, EventKind, OpenItems, RunFilter};
use crate::view::attention::{hints_for_parked, requirements};
use crate::view::hint::Hint;
use crate::view::message::MessageView;
use crate::view::run::{RunView, label};
use error_text::question;
use nowcast_core::Join;
use nowcast_core::parked::ParkedItem;
use nowcast_core::record::{Outcome, RecordedEvent};
use nowcast_core::run::Stage;
use nowcast_core::{NextWorker, Number, RuleFile, Run};
use pyyaml::Map;

/// The maximum number of the worker's latest runs that are searched for the rules that launch it.
const RUNS: u32 = 50;

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
    /// Messages after its last launch that did not launch it.
    pub not_since: Vec<WhyNotReason>,
    /// Its latest run.
    pub last_run: Option<Page>,
}

/// A reason why a worker has not run.
#[derive(Debug, Serialize)]
pub(super) struct WhyNotReason {
    pub kind: ReasonKind,
    pub number: Option<u64>,
    pub text: String,
    /// The commands that help.
    #[serde(rename = "try")]
    pub hints: Vec<Hint>,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReasonKind {
    /// A run of the worker is in progress.
    Running,
    /// A launch of the worker is pending.
    Pending,
    /// A launch of the worker waits in a join.
    Join,
    /// A launch of the worker is parked.
    Parked,
    /// An operator holds the worker.
    Hold,
    /// The last change of the rules is not in force.
    Rules,
    /// A join requires its message.
    Dependent,
    /// A message did not launch it.
    Message,
    /// A worker whose rule launches this one has sent no message.
    Silence,
}

impl WhyNotReason {
    fn new(kind: ReasonKind, number: Option<Number>, text: String, hints: Vec<Hint>) -> Self {
        Self { kind, number: number.map(|number| number.0), text, hints }
    }

    /// Return the text with the commands below it.
    fn text(&self) -> String {
        let hints = hint_lines(&self.hints).into_iter().map(|hint| format!("\n    → {hint}"));
        format!("{}{}", self.text, hints.collect::<String>())
    }
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
        let mut blocked_by = blocked_by(name, &open, context)?;
        blocked_by.extend(refused(&open));
        let last_cause = runs.first().map(|run| run.cause);
        Ok(Self {
            worker: name.to_owned(),
            blocked_by,
            dependents: dependents(name, &open),
            not_since: not_since(name, &runs, last_cause, context)?,
            last_run: runs.first().map(|run| Page::of(run.id, context)).transpose()?,
        })
    }

    pub(super) fn to_text(&self, context: &ViewContext) -> String {
        let mut text = format!("{}\n", self.worker);
        let lines =
            |reasons: &[WhyNotReason]| shortened(&reasons.iter().map(WhyNotReason::text).collect::<Vec<_>>());
        section(&mut text, "BLOCKED BY", &lines(&self.blocked_by));
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

/// Return the open runs, joins, parked launches and holds that keep the worker from running.
fn blocked_by(name: &str, open: &OpenItems, context: &ViewContext) -> anyhow::Result<Vec<WhyNotReason>> {
    let is_it = |worker: &NextWorker| worker.name() == name;
    let state = context.state(open, Map::new(), context.history.cycles_now()?);
    let mut reasons = Vec::new();
    for run in open.runs.iter().filter(|run| is_it(&run.worker)) {
        let view = RunView::new(run, context);
        let description = view.description(&context.now);
        let what = format!("run {} of {}: {description}", run.id, view.label());
        reasons.push(if matches!(run.stage, Stage::Pending { .. }) {
            let blocker = state.blocked_by(run).map(|blocker| format!(", blocked by {blocker}"));
            let blocker = blocker.unwrap_or_default();
            let hints = hints_for_pending(run, &state, context);
            WhyNotReason::new(ReasonKind::Pending, Some(run.id), format!("{what}{blocker}"), hints)
        } else {
            let hint = Hint::new(format!("nowcast tail -f {}", run.id.0));
            WhyNotReason::new(ReasonKind::Running, Some(run.id), what, vec![hint])
        });
    }
    for join in &open.joins {
        for launch in join.launches().iter().filter(|launch| is_it(&launch.worker)) {
            let text = format!(
                "{} waits in the join {} of {}, which {}",
                label(&launch.worker),
                join.id,
                join.name,
                requirements(join)
            );
            let mut hints: Vec<Hint> = join
                .requires
                .iter()
                .map(|requirement| Hint::new(format!("nowcast why {}", requirement.worker)))
                .collect();
            let release = format!("nowcast release {}", join.id.0);
            hints.push(Hint::with_effect(release, "launches without it"));
            reasons.push(WhyNotReason::new(ReasonKind::Join, Some(join.id), text, hints));
        }
    }
    for parked in &open.parked {
        let ParkedItem::Launches { launches, .. } = &parked.item else { continue };
        for launch in launches.iter().filter(|launch| is_it(&launch.worker)) {
            let text = format!("{} is parked as {}: {}", label(&launch.worker), parked.id, parked.reason);
            let hints = hints_for_parked(parked);
            reasons.push(WhyNotReason::new(ReasonKind::Parked, Some(parked.id), text, hints));
        }
    }
    for hold in &open.holds {
        if hold.holds(&NextWorker::new(name, Vec::new()), None) {
            let why = hold.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let text = format!("hold {} of {} by {}{why}", hold.id, hold.target, hold.user);
            let hint = Hint::new(format!("nowcast release {}", hold.id.0));
            reasons.push(WhyNotReason::new(ReasonKind::Hold, Some(hold.id), text, vec![hint]));
        }
    }
    Ok(reasons)
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
    runs: &[Run],
    last_cause: Option<Number>,
    context: &ViewContext,
) -> anyhow::Result<Vec<WhyNotReason>> {
    let mut launchers = BTreeSet::new();
    for run in runs {
        let cause = context.history.event(run.cause)?;
        // A retry is caused by the worker's own crash, which was not given to a rule.
        if let Some(RecordedEvent::Message(message)) = cause.map(|cause| cause.event)
            && !matches!(message.outcome, Outcome::Retried(_))
        {
            launchers.extend(message.message.map(|said| said.source));
        }
    }
    // Its own rule may stand beside the one that launches it.
    launchers.extend(named_in_rules(name, context).into_iter().filter(|source| source != name));
    let mut reasons = Vec::new();
    for source in launchers {
        reasons.extend(last_message(name, &source, last_cause, context)?);
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

/// Return the workers whose rules name this worker. One that has never run has left no other trace.
fn named_in_rules(name: &str, context: &ViewContext) -> Vec<String> {
    let Ok(engine) = RuleSet::of(&context.config).load(None) else { return Vec::new() };
    let mut found = Vec::new();
    for RuleFile { name: chunk, text } in &engine.files() {
        for (at, _) in text.lines().enumerate().filter(|(_, line)| names(line, name)) {
            let function = engine
                .functions()
                .iter()
                .filter(|function| function.chunk == *chunk && function.line <= at + 1)
                .max_by_key(|function| function.line);
            found.extend(
                function.and_then(|function| function.name.strip_prefix("after_")).map(str::to_owned),
            );
        }
    }
    found
}

/// Return whether a line of Lua has a worker's name in quotes, with or without its package.
fn names(line: &str, name: &str) -> bool {
    let code = line.split("--").next().unwrap_or_default();
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        matches!(before, Some('"' | '\'' | '.')) && matches!(after, Some('"' | '\''))
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_worker_is_named_in_quotes_and_not_in_comments() {
        assert!(names("return { NextWorker('awaken') }", "awaken"));
        assert!(names("return { NextWorker(\"nowcast.workers.awaken\", {}) }", "awaken"));
        assert!(!names("-- NextWorker('awaken')", "awaken"));
        assert!(!names("return { NextWorker('reawaken') }", "awaken"));
        assert!(!names("function after_awaken()", "awaken"));
    }
}
