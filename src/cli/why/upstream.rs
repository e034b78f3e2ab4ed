//! [`BlockerSearch`]: what keeps a worker from running, in its own launches and in the workers from which they follow. It never calls a
//! rule.

use std::collections::{BTreeSet, VecDeque};

use super::gather::hints_for_pending;
use super::reason::{ReasonKind, WhyNotReason};
use crate::cli::read_only::ViewContext;
use crate::rules::{Engine, RuleSet};
use crate::store::journal::{OpenItems, RunFilter};
use crate::view::attention::{hints_for_parked, requirements};
use crate::view::failures::failures;
use crate::view::hint::Hint;
use crate::view::output::last_lines;
use crate::view::run::{RunView, label};
use nowcast_core::parked::ParkedItem;
use nowcast_core::record::{Outcome, RecordedEvent};
use nowcast_core::run::Stage;
use nowcast_core::{Join, NextWorker, RuleFile, Run, RunId, State};
use pyyaml::Map;

/// The maximum number of a worker's latest runs that are searched for the rules that launch it.
pub(super) const RUNS: u32 = 50;

/// The maximum number of workers that are searched upstream.
const WORKERS: usize = 200;

/// Searches the open items, the failed runs and the rules.
pub(super) struct BlockerSearch<'a> {
    open: &'a OpenItems,
    /// The runs that failed, and that none with the same job has repaired.
    failed: Vec<Run>,
    /// `None` if the rules cannot be loaded.
    rules: Option<Engine>,
    state: State,
    context: &'a ViewContext,
}

impl<'a> BlockerSearch<'a> {
    pub(super) fn new(open: &'a OpenItems, context: &'a ViewContext) -> anyhow::Result<Self> {
        let failed = failures(context)?.into_iter().flat_map(|group| group.runs).collect();
        let state = context.state(open, Map::new(), context.history.cycles_now()?);
        Ok(Self { open, failed, rules: RuleSet::of(&context.config).load(None).ok(), state, context })
    }

    /// Return the failed runs of a worker but its latest.
    pub(super) fn failed_of(&self, name: &str, latest: Option<RunId>) -> Vec<WhyNotReason> {
        let is_it = |run: &&Run| run.worker.name() == name && Some(run.id) != latest;
        self.failed.iter().filter(is_it).map(|run| self.failure(run)).collect()
    }

    fn failure(&self, run: &Run) -> WhyNotReason {
        let view = RunView::new(run, self.context);
        let cycle = run.cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
        let output = view.output.as_deref().map(|file| last_lines(file, 1)).unwrap_or_default();
        let output = output.first().map(|line| format!(": {line}")).unwrap_or_default();
        let description = view.description(&self.context.now);
        let text = format!("run {} of {}{cycle}: {description}{output}", run.id, view.label());
        let hint = Hint::with_effect(format!("nowcast rerun {}", run.id.0), "once the reason is repaired");
        WhyNotReason::new(ReasonKind::Failed, Some(run.id), text, vec![hint])
    }

    /// Return what blocks the nearest workers from whose messages a launch of this one follows, with the path from there. Failures
    /// in the cycle of `last`, its latest run, that ended before its launch do not count.
    pub(super) fn upstream(&self, name: &str, last: Option<&Run>) -> anyhow::Result<Vec<WhyNotReason>> {
        let mut found = Vec::new();
        let mut visited = BTreeSet::from([name.to_owned()]);
        let mut waiting = VecDeque::from([vec![name.to_owned()]]);
        while let Some(way) = waiting.pop_front() {
            for launcher in self.launchers(&way[0])? {
                if visited.len() > WORKERS || !visited.insert(launcher.clone()) {
                    continue;
                }
                let mut reasons = self.blocked_by(&launcher);
                let has_failed =
                    |run: &&Run| run.worker.name() == launcher && is_news(run, last, self.context);
                reasons.extend(self.failed.iter().filter(has_failed).map(|run| self.failure(run)));
                if reasons.is_empty() {
                    waiting.push_back([vec![launcher], way.clone()].concat());
                } else {
                    found.extend(reasons.into_iter().map(|reason| reason.before(&launcher, &way)));
                }
            }
        }
        let mut texts = BTreeSet::new();
        found.retain(|reason: &WhyNotReason| texts.insert(reason.text.clone()));
        Ok(found)
    }

    /// Return the workers whose rules launch a worker.
    pub(super) fn launchers(&self, name: &str) -> anyhow::Result<BTreeSet<String>> {
        let worker = Some(name.to_owned());
        let runs =
            self.context.history.runs(&RunFilter { worker, limit: Some(RUNS), ..RunFilter::default() })?;
        let mut launchers = BTreeSet::new();
        for run in &runs {
            let cause = self.context.history.event(run.cause)?;
            // A retry is caused by the worker's own crash, which was not given to a rule.
            if let Some(RecordedEvent::Message(message)) = cause.map(|cause| cause.event)
                && !matches!(message.outcome, Outcome::Retried(_))
            {
                launchers.extend(message.message.map(|said| said.source));
            }
        }
        // Its own rule may stand beside the one that launches it.
        launchers.extend(self.named_in_rules(name).into_iter().filter(|source| source != name));
        Ok(launchers)
    }

    /// Return the open runs, joins, parked launches and holds that keep the worker from running.
    pub(super) fn blocked_by(&self, name: &str) -> Vec<WhyNotReason> {
        let (open, context) = (self.open, self.context);
        let is_it = |worker: &NextWorker| worker.name() == name;
        let state = &self.state;
        let mut reasons = Vec::new();
        for run in open.runs.iter().filter(|run| is_it(&run.worker)) {
            let view = RunView::new(run, context);
            let description = view.description(&context.now);
            let what = format!("run {} of {}: {description}", run.id, view.label());
            reasons.push(if matches!(run.stage, Stage::Pending { .. }) {
                let blocker = state.blocked_by(run).map(|blocker| format!(", blocked by {blocker}"));
                let blocker = blocker.unwrap_or_default();
                let hints = hints_for_pending(run, state, context);
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
            if join.launches().iter().any(|launch| is_it(&launch.worker)) {
                let awaited = self.failed.iter().filter(|run| awaits(join, run));
                reasons.extend(awaited.map(|run| self.failure(run)));
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
        reasons
    }

    /// Return the workers whose rules name this worker. One that has never run has left no other trace.
    fn named_in_rules(&self, name: &str) -> Vec<String> {
        let Some(engine) = &self.rules else { return Vec::new() };
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
}

/// Return whether a join requires a success of a failed run.
fn awaits(join: &Join, run: &Run) -> bool {
    let has_failed_since = run.report.as_ref().is_some_and(|report| report.message > join.opened_by);
    join.requires.iter().filter(|required| required.worker == run.worker.name()).any(
        |required| match required.cycle.as_ref().or(join.cycle.as_ref()).filter(|_| join.identity.is_some()) {
            Some(cycle) => run.cycle.as_ref() == Some(cycle),
            None => has_failed_since,
        },
    )
}

/// Return whether a failure can explain why a worker has not run since its latest run.
fn is_news(failed: &Run, last: Option<&Run>, context: &ViewContext) -> bool {
    last.is_none_or(|last| {
        failed.cycle != last.cycle || failed.exited() > RunView::new(last, context).started
    })
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
