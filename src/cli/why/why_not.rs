//! [`WhyNot`]: what stands before a worker, what might have launched it and did not, and its latest run.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::bail;
use serde::Serialize;

use super::page::{Page, help_for_waiting, outcome};
use super::{few, section};
use crate::cli::look::{self, Look};
use crate::cli::status::needs;
use crate::cli::times;
use crate::rules::RuleSet;
use crate::store::journal::{EventFilter, EventKind, Open, RunFilter};
use crate::view::entries::{MessageView, RunView, label};
use nowcast_core::joins::Join;
use nowcast_core::parked::ParkedWhat;
use nowcast_core::record::{Outcome, What};
use nowcast_core::run::Stage;
use nowcast_core::{NextWorker, Number, RuleFile, Run};
use pyyaml::Map;

/// Runs of the worker that tell which rules launch it.
const RUNS_THAT_TELL: u32 = 50;

/// Messages of a worker that are looked through for its last report.
const MESSAGES: u32 = 20;

/// The answer to `nowcast why WORKER`. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct WhyNot {
    pub worker: String,
    /// What stands before it now.
    pub before_it: Vec<Reason>,
    /// The joins that wait for its message.
    pub awaited_by: Vec<Reason>,
    /// What came since it was launched last and did not launch it.
    pub not_since: Vec<Reason>,
    /// Its latest run.
    pub last: Option<Page>,
}

/// One reason.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    /// `running`, `waiting`, `join`, `parked`, `hold`, `rules`, `awaited`, `message` or `silence`.
    pub kind: &'static str,
    pub number: Option<u64>,
    pub text: String,
    /// The command that helps.
    pub help: Option<String>,
}

impl Reason {
    fn new(kind: &'static str, number: Option<Number>, text: String, help: Option<String>) -> Self {
        Self { kind, number: number.map(|number| number.0), text, help }
    }

    fn line(&self) -> String {
        self.help.as_ref().map_or_else(|| self.text.clone(), |help| format!("{}: {help}", self.text))
    }
}

impl WhyNot {
    /// The answer for a worker.
    ///
    /// # Errors
    /// When nobody knows a worker of that name, or the journal cannot be read.
    pub(super) fn of(name: &str, look: &Look) -> anyhow::Result<Self> {
        let worker = Some(name.to_owned());
        let runs =
            look.history.runs(&RunFilter { worker, limit: Some(RUNS_THAT_TELL), ..RunFilter::default() })?;
        let registry = &look.config.registry.workers;
        if runs.is_empty() && !registry.contains_key(name) && !look.config.workers.contains_key(name) {
            let registered: Vec<&str> = registry.keys().map(String::as_str).collect();
            bail!("no worker {name} is registered or has run; registered are: {}", registered.join(", "));
        }
        let open = look.history.open_now()?;
        let mut before_it = before_it(name, &open, look);
        before_it.extend(refused(&open));
        // One that waits has its causes told; a chain for it is no answer to what was asked.
        let last_cause = runs.first().map(|run| run.cause);
        Ok(Self {
            worker: name.to_owned(),
            before_it,
            awaited_by: awaited_by(name, &open),
            not_since: not_since(name, &runs, last_cause, look)?,
            last: runs.first().map(|run| Page::of_run(run, look)).transpose()?,
        })
    }

    pub(super) fn to_text(&self, look: &Look) -> String {
        let mut text = format!("{}\n", self.worker);
        let lines = |reasons: &[Reason]| few(&reasons.iter().map(Reason::line).collect::<Vec<_>>());
        section(&mut text, "STANDS BEFORE IT", &lines(&self.before_it));
        section(&mut text, "AWAITED BY", &lines(&self.awaited_by));
        let heading = if self.last.is_some() { "NOT LAUNCHED SINCE" } else { "NOT LAUNCHED YET" };
        section(&mut text, heading, &lines(&self.not_since));
        match &self.last {
            Some(page) => {
                text.push_str("ITS LATEST RUN\n");
                text.push_str(&page.to_text(look));
            }
            None => text.push_str("no run of it is known\n"),
        }
        text
    }
}

/// What keeps it back now: open runs, joins, what is parked, holds.
fn before_it(name: &str, open: &Open, look: &Look) -> Vec<Reason> {
    let is_it = |worker: &NextWorker| worker.name() == name;
    let state = look::state(&look.config, open, Map::new());
    let mut reasons = Vec::new();
    for run in open.runs.iter().filter(|run| is_it(&run.worker)) {
        let view = RunView::new(run, look);
        let fate = view.fate(&look.now);
        let what = format!("run {} of {} {fate}", run.id, view.label());
        reasons.push(if matches!(run.stage, Stage::Waiting { .. }) {
            let behind = state.obstacle(run).map(|behind| format!(" behind {behind}")).unwrap_or_default();
            let help = help_for_waiting(run, &state, look);
            Reason::new("waiting", Some(run.id), format!("{what}{behind}"), Some(help))
        } else {
            Reason::new("running", Some(run.id), what, Some(format!("nowcast tail -f {}", run.id.0)))
        });
    }
    for join in &open.joins {
        for launch in join.launches().iter().filter(|launch| is_it(&launch.worker)) {
            let text = format!(
                "{} waits in the join {} of {}, which {}",
                label(&launch.worker),
                join.id,
                join.name,
                needs(join)
            );
            let missing: Vec<String> =
                join.wait_for.iter().map(|wanted| format!("nowcast why {}", wanted.worker)).collect();
            let help = format!("{}, or nowcast release {}", missing.join(", "), join.id.0);
            reasons.push(Reason::new("join", Some(join.id), text, Some(help)));
        }
    }
    for parked in &open.parked {
        let ParkedWhat::Launches { launches, .. } = &parked.what else { continue };
        for launch in launches.iter().filter(|launch| is_it(&launch.worker)) {
            let text = format!("{} is parked as {}: {}", label(&launch.worker), parked.id, parked.reason);
            let help = format!("nowcast release {0} or nowcast discard {0}", parked.id.0);
            reasons.push(Reason::new("parked", Some(parked.id), text, Some(help)));
        }
    }
    for hold in &open.holds {
        if hold.holds(&NextWorker::new(name, Vec::new())) {
            let why = hold.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let text = format!("hold {} of {} by {}{why}", hold.id, hold.target, hold.user);
            let help = format!("nowcast release {}", hold.id.0);
            reasons.push(Reason::new("hold", Some(hold.id), text, Some(help)));
        }
    }
    reasons
}

fn awaited_by(name: &str, open: &Open) -> Vec<Reason> {
    let waits = |join: &&Join| join.wait_for.iter().any(|wanted| wanted.worker == name);
    let reason = |join: &Join| {
        let text = format!("the join {} of {} {}", join.id, join.name, needs(join));
        Reason::new("awaited", Some(join.id), text, Some(format!("nowcast why {}", join.id.0)))
    };
    open.joins.iter().filter(waits).map(reason).collect()
}

fn refused(open: &Open) -> Option<Reason> {
    let (number, reason) = open.rules.as_ref()?.refused.as_ref()?;
    let text = format!("the last change of the rules is not in force: {reason}");
    Some(Reason::new("rules", Some(*number), text, None))
}

/// What the workers whose rules launch it said last, if that was after its latest launch.
fn not_since(
    name: &str,
    runs: &[Run],
    last_cause: Option<Number>,
    look: &Look,
) -> anyhow::Result<Vec<Reason>> {
    let mut launchers = BTreeSet::new();
    for run in runs {
        let cause = look.history.event(run.cause)?;
        if let Some(What::Message(message)) = cause.map(|cause| cause.what) {
            launchers.extend(message.message.map(|said| said.source));
        }
    }
    launchers.extend(named_in_rules(name, look));
    let mut reasons = Vec::new();
    for source in launchers {
        reasons.extend(last_word(name, &source, last_cause, look)?);
    }
    Ok(reasons)
}

fn last_word(
    name: &str,
    source: &str,
    last_cause: Option<Number>,
    look: &Look,
) -> anyhow::Result<Option<Reason>> {
    let messages = look.history.events(&EventFilter {
        worker: Some(source.to_owned()),
        kind: Some(EventKind::Message),
        limit: Some(MESSAGES),
        ..EventFilter::default()
    })?;
    let last = messages.iter().find_map(|record| match &record.what {
        What::Message(message) if message.outcome != Outcome::Answered => Some((record, message)),
        _ => None,
    });
    let Some((record, message)) = last else {
        let text = format!("{source}, whose rule launches it, has sent no message yet");
        return Ok(Some(Reason::new("silence", None, text, Some(format!("nowcast why {source}")))));
    };
    if last_cause.is_some_and(|cause| record.number <= cause) {
        return Ok(None);
    }
    let came_of_it = look.history.runs_caused_by(record.number)?;
    if came_of_it.iter().any(|run| run.worker.name() == name) {
        return Ok(None);
    }
    let view = MessageView::new(record, message, look)?;
    let mut text =
        format!("message {} {} at {}", record.number, view.label(), times::second(view.time, &look.now));
    if let Some(rule) = view.rule_text() {
        let _ = write!(text, "; {rule}");
    }
    for line in outcome(record, look)? {
        let _ = write!(text, "; {}", line.lines().next().unwrap_or_default());
    }
    let is_parked = look.history.what(record.number)?.parked.is_some_and(|parked| parked.closed_by.is_none());
    let help = if is_parked {
        format!("repair the rule, then nowcast retry {}", record.number.0)
    } else {
        format!("nowcast why {}", record.number.0)
    };
    Ok(Some(Reason::new("message", Some(record.number), text, Some(help))))
}

/// The workers whose rules name it. A worker that has never run has left no other trace.
fn named_in_rules(name: &str, look: &Look) -> Vec<String> {
    let Ok(engine) = RuleSet::of(&look.config).load(None) else { return Vec::new() };
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

/// Whether a line of Lua has a worker's name in quotes, with or without its package.
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
