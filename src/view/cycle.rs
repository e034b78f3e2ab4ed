//! [`CycleView`]: a cycle as every surface shows it: its state, what is open, and what is still to come. Its keys are those of the
//! JSON; `docs/operating.md` lists them. This module never examines the runs of other cycles.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::attention::requirements;
use super::context::ViewContext;
use super::failures::is_same;
use super::hint::Hint;
use super::run::{RunView, label};
use crate::store::journal::{JournalError, OpenItems, RunFilter};
use nowcast_core::cycles::{CycleMark, KeptCycle};
use nowcast_core::notes::Notes;
use nowcast_core::parked::ParkedItem;
use nowcast_core::run::{Stage, is_failure};
use nowcast_core::{Cycle, Cycles, Join, Number, Run, State};
use pyyaml::Map;

/// The most runs of a cycle that are read, the newest first.
pub(super) const MOST_RUNS: u32 = 5_000;

/// The last done cycles that tell which messages are usual, and how many of them must have a message.
const DONE_CYCLES: usize = 5;
const USUAL_IN: usize = 3;

/// The days around the beginning of a cycle in which a deadline of an expectation is searched.
const DAYS_BEFORE: i64 = 2;
const DAYS_AFTER: i64 = 16;

/// The state of a cycle. Of several that hold, it is the first of: cancelled, failed, running, held, waiting, done, quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleState {
    /// A run of it is running.
    Running,
    /// Launches or joins of it are pending.
    Waiting,
    /// All its pending launches are held.
    Held,
    /// A run failed and none like it has succeeded since, or something is parked.
    Failed,
    /// Nothing is open, and it is not known to be complete.
    Quiet,
    /// All messages of `cycles: done:` have come.
    Done,
    /// An operator cancelled it.
    Cancelled,
}

impl CycleState {
    /// Return the word that people see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            CycleState::Running => "running",
            CycleState::Waiting => "waiting",
            CycleState::Held => "held",
            CycleState::Failed => "failed",
            CycleState::Quiet => "quiet",
            CycleState::Done => "done",
            CycleState::Cancelled => "cancelled",
        }
    }

    /// Every state, in the order of the documentation.
    pub const ALL: [Self; 7] =
        [Self::Running, Self::Waiting, Self::Held, Self::Failed, Self::Quiet, Self::Done, Self::Cancelled];

    /// Return whether a page about the present shows the cycle: something of it is open or needs an operator.
    #[must_use]
    pub fn is_current(self) -> bool {
        matches!(self, CycleState::Running | CycleState::Waiting | CycleState::Held | CycleState::Failed)
    }
}

/// A cycle.
#[derive(Debug, Clone, Serialize)]
pub struct CycleView {
    pub cycle: Cycle,
    pub state: CycleState,
    /// Who cancelled or skipped it, in words.
    pub note: Option<String>,
    /// When its first event was, and the number of that event.
    pub begun: Timestamp,
    pub begun_by: u64,
    /// When its last event was.
    pub last: Timestamp,
    pub last_event: u64,
    pub runs: RunCounts,
    /// What is open, the most urgent first.
    pub open: Vec<OpenItemView>,
    /// The messages that are known to be missing.
    pub to_come: Vec<ToCome>,
    /// The commands that help.
    #[serde(rename = "try")]
    pub hints: Vec<Hint>,
}

impl CycleView {
    /// The columns of the CSV: the keys of the JSON.
    pub const COLUMNS: [&str; 11] = [
        "cycle",
        "state",
        "note",
        "begun",
        "begun_by",
        "last",
        "last_event",
        "runs",
        "open",
        "to_come",
        "try",
    ];
}

/// How many runs a cycle has. Of runs with the same worker, arguments and host only the last counts as failed, unless it is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    pub running: usize,
    pub pending: usize,
    pub succeeded: usize,
    pub failed: usize,
}

impl fmt::Display for RunCounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.running, "running"),
            (self.pending, "pending"),
            (self.failed, "failed"),
            (self.succeeded, "succeeded"),
        ];
        let shown = counts.into_iter().filter(|(count, _)| *count > 0);
        let shown: Vec<String> = shown.map(|(count, word)| format!("{count} {word}")).collect();
        write!(out, "{}", shown.join(", "))
    }
}

/// Something of a cycle that is open.
#[derive(Debug, Clone, Serialize)]
pub struct OpenItemView {
    pub kind: OpenKind,
    pub number: u64,
    pub text: String,
}

/// The kinds of open items, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenKind {
    /// A failed run that needs an operator.
    Failed,
    /// A parked message or parked launches.
    Parked,
    Running,
    Pending,
    Join,
}

/// A message that is still to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToCome {
    pub worker: String,
    pub r#type: Option<String>,
    /// The number of messages.
    pub count: u32,
    /// The cycle of the message, if it is another one.
    pub of_cycle: Option<Cycle>,
    /// Whether the cycle is not done without it.
    pub is_for_done: bool,
    /// The joins that require it.
    pub joins: Vec<u64>,
    /// When it is late.
    pub due: Option<Timestamp>,
    /// How many of the last done cycles had it, if at least 3 of 5 did.
    pub usual_in: Option<usize>,
}

/// The kept cycles, and what is needed to show one of them.
pub struct CycleViews<'a> {
    context: &'a ViewContext,
    open: &'a OpenItems,
    state: State,
    /// The last done cycles, the latest first.
    done: Vec<Cycle>,
}

impl<'a> CycleViews<'a> {
    /// Return the views of the cycles that a journal keeps.
    #[must_use]
    pub fn new(context: &'a ViewContext, open: &'a OpenItems, cycles: Cycles) -> Self {
        let state = context.state(open, Map::new(), cycles);
        let marked = state.cycles.kept().filter_map(|(cycle, kept)| match kept.mark {
            Some(CycleMark::Done { message, .. }) => Some((message, cycle.clone())),
            _ => None,
        });
        let mut done: Vec<(Number, Cycle)> = marked.collect();
        done.sort_unstable_by_key(|(message, _)| std::cmp::Reverse(*message));
        done.truncate(DONE_CYCLES);
        Self { context, open, state, done: done.into_iter().map(|(_, cycle)| cycle).collect() }
    }

    /// Return the state of a manager that would start now.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Return the kept cycles, the one that began last first.
    #[must_use]
    pub fn latest(&self) -> Vec<(&Cycle, &KeptCycle)> {
        let mut kept: Vec<_> = self.state.cycles.kept().collect();
        // Cycles of one backfill began together: dates make its labels.
        kept.sort_by_key(|(cycle, kept)| std::cmp::Reverse((kept.begun, *cycle)));
        kept
    }

    /// Return the view of a cycle; `None` if it is not kept.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn view(&self, cycle: &Cycle) -> Result<Option<CycleView>, JournalError> {
        let Some(kept) = self.state.cycles.get(cycle) else { return Ok(None) };
        let runs = self.runs(cycle, kept)?;
        let failed = self.failed(kept, &runs)?;
        let mut counts = RunCounts { failed: failed.len(), ..RunCounts::default() };
        for run in &runs {
            match (&run.stage, run.has_succeeded()) {
                (Stage::Pending { .. }, _) => counts.pending += 1,
                (Stage::Ended { .. }, Some(true)) if run.is_closed() => counts.succeeded += 1,
                (Stage::Ended { .. }, _) if run.is_closed() => {}
                _ => counts.running += 1,
            }
        }
        let items = self.open_items(cycle, &failed);
        let state = CycleState::of(kept, &items, self.is_held(cycle));
        let mut view = CycleView {
            cycle: cycle.clone(),
            state,
            note: note(kept),
            begun: kept.begun_at.wall,
            begun_by: kept.begun.0,
            last: kept.last_at.wall,
            last_event: kept.last.0,
            runs: counts,
            open: items,
            to_come: if state == CycleState::Cancelled { Vec::new() } else { self.to_come(cycle, kept) },
            hints: Vec::new(),
        };
        view.hints = hints(&view, kept);
        Ok(Some(view))
    }

    /// Return the joins that are open or known.
    pub fn joins(&self) -> impl Iterator<Item = &Join> {
        self.state.joins.open().chain(self.state.joins.ended())
    }

    /// Return the runs of a cycle, the oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn runs(&self, cycle: &Cycle, kept: &KeptCycle) -> Result<Vec<Run>, JournalError> {
        let filter = RunFilter {
            cycle: Some(cycle.to_string()),
            within: Some((kept.begun, kept.last)),
            limit: Some(MOST_RUNS),
            ..RunFilter::default()
        };
        let mut runs = self.context.history.runs(&filter)?;
        runs.reverse();
        Ok(runs)
    }

    /// Return the failed runs of a cycle that need an operator.
    fn failed<'r>(&self, kept: &KeptCycle, runs: &'r [Run]) -> Result<Vec<&'r Run>, JournalError> {
        let is_failed = |run: &&Run| run.is_closed() && run.has_succeeded() == Some(false);
        let mut failed: Vec<&Run> = runs.iter().filter(is_failed).collect();
        if failed.is_empty() {
            return Ok(failed);
        }
        let acknowledged = self.context.history.acknowledged_since(kept.begun)?;
        // Of the attempts of one launch, the last counts.
        let is_repeated = |run: &Run| {
            let mut later = runs.iter().filter(|other| other.id > run.id && is_same(other, run));
            later.any(|other| other.has_succeeded().is_some() && other.is_closed())
        };
        failed.retain(|run| !acknowledged.contains_key(&run.id) && !is_repeated(run));
        Ok(failed)
    }

    fn open_items(&self, cycle: &Cycle, failed: &[&Run]) -> Vec<OpenItemView> {
        let now = &self.context.now;
        let described = |run: &Run| RunView::new(run, self.context).description(now);
        let item = |kind, number: Number, text| OpenItemView { kind, number: number.0, text };
        let mut items: Vec<OpenItemView> = failed
            .iter()
            .map(|run| item(OpenKind::Failed, run.id, format!("{}: {}", label(&run.worker), described(run))))
            .collect();
        let numbers: HashSet<Number> = self.state.activity.open_in(cycle).collect();
        for run in self.open.runs.iter().filter(|run| numbers.contains(&run.id)) {
            let what = format!("{}: {}", label(&run.worker), described(run));
            items.push(if matches!(run.stage, Stage::Pending { .. }) {
                let blocker = self.state.blocked_by(run).map(|by| format!(", blocked by {by}"));
                item(OpenKind::Pending, run.id, what + &blocker.unwrap_or_default())
            } else {
                item(OpenKind::Running, run.id, what)
            });
        }
        for join in self.open.joins.iter().filter(|join| numbers.contains(&join.id)) {
            items.push(item(OpenKind::Join, join.id, format!("join {} {}", join.name, requirements(join))));
        }
        for parked in self.open.parked.iter().filter(|parked| numbers.contains(&parked.id)) {
            let what = match &parked.item {
                ParkedItem::Message { source, r#type, .. } => format!("message from {source} ({type})"),
                ParkedItem::Launches { launches, .. } => {
                    launches.iter().map(|launch| label(&launch.worker)).collect::<Vec<_>>().join(", ")
                }
            };
            let reason = parked.reason.lines().next().unwrap_or_default();
            items.push(item(OpenKind::Parked, parked.id, format!("{what}: {reason}")));
        }
        items.sort_by_key(|item| (item.kind, item.number));
        items
    }

    /// Return whether all pending launches of a cycle are held.
    fn is_held(&self, cycle: &Cycle) -> bool {
        let is_held =
            |run: &Run| self.open.holds.iter().any(|hold| hold.holds(&run.worker, run.cycle.as_ref()));
        let is_pending =
            |run: &&Run| run.cycle.as_ref() == Some(cycle) && matches!(run.stage, Stage::Pending { .. });
        let mut pending = self.open.runs.iter().filter(is_pending).peekable();
        pending.peek().is_some() && pending.all(is_held)
    }

    fn to_come(&self, cycle: &Cycle, kept: &KeptCycle) -> Vec<ToCome> {
        let mut missing = MissingMessages { notes: &kept.notes, found: Vec::new() };
        for message in &self.state.policy.cycles.done {
            if let Some(found) = missing.add(&message.worker, Some(&message.r#type), None) {
                found.is_for_done = true;
            }
        }
        for join in &self.open.joins {
            missing.add_requirements(cycle, join);
        }
        for (worker, r#type, due) in self.deadlines(cycle, kept) {
            if let Some(found) = missing.add(&worker, Some(&r#type), None) {
                found.due = Some(found.due.map_or(due, |before| before.min(due)));
            }
        }
        if kept.mark.is_none() {
            for ((worker, r#type), count) in self.usual(cycle) {
                if let Some(found) = missing.add(worker, Some(r#type), None) {
                    found.usual_in = Some(count);
                }
            }
        }
        missing.found
    }

    /// Return the messages of this cycle that are expected, with their deadlines.
    fn deadlines(&self, cycle: &Cycle, kept: &KeptCycle) -> Vec<(String, String, Timestamp)> {
        let mut found = Vec::new();
        for expectation in &self.state.policy.expectations {
            let Some(format) = &expectation.cycle else { continue };
            let begun = kept.begun_at.wall.to_zoned_datetime(expectation.zone.clone()).date();
            let at = |days: i64| {
                let date = begun.checked_add(days.days()).ok()?;
                let by = date.to_datetime(expectation.by);
                let at = by.to_zoned_datetime(expectation.zone.clone()).ok()?;
                let is_day = expectation.days.contains(&date.weekday());
                (is_day && format.label(&at).ok().as_ref() == Some(cycle)).then(|| at.timestamp())
            };
            if let Some(due) = (-DAYS_BEFORE..=DAYS_AFTER).find_map(at) {
                found.push((expectation.worker.clone(), expectation.r#type.clone(), due));
            }
        }
        found
    }

    /// Return the messages that most of the last done cycles had, and in how many.
    fn usual(&self, cycle: &Cycle) -> Vec<((&str, &str), usize)> {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for other in self.done.iter().filter(|other| *other != cycle) {
            let Some(kept) = self.state.cycles.get(other) else { continue };
            for kind in kept.notes.kinds().filter(|(_, r#type)| !is_failure(r#type)) {
                *counts.entry(kind).or_default() += 1;
            }
        }
        counts.into_iter().filter(|(_, count)| *count >= USUAL_IN).collect()
    }
}

/// The messages that a cycle does not have yet.
struct MissingMessages<'a> {
    notes: &'a Notes,
    found: Vec<ToCome>,
}

impl MissingMessages<'_> {
    /// Return the entry of a message of the cycle, unless it has come.
    fn add(&mut self, worker: &str, r#type: Option<&str>, of_cycle: Option<&Cycle>) -> Option<&mut ToCome> {
        let has_come = r#type.is_some_and(|r#type| self.notes.last(worker, r#type).is_some());
        if has_come { None } else { Some(self.entry(worker, r#type, of_cycle)) }
    }

    /// Add what an open join of a cycle still requires.
    fn add_requirements(&mut self, cycle: &Cycle, join: &Join) {
        let is_of_cycle = join.cycle.as_ref() == Some(cycle)
            || join.launches().iter().any(|launch| launch.cycle.as_ref() == Some(cycle));
        if !is_of_cycle {
            return;
        }
        for required in &join.requires {
            let other = required.cycle.clone().filter(|other| other != cycle);
            let found = self.entry(&required.worker, required.r#type.as_deref(), other.as_ref());
            found.count = found.count.max(required.count);
            found.joins.push(join.id.0);
        }
    }

    fn entry(&mut self, worker: &str, r#type: Option<&str>, of_cycle: Option<&Cycle>) -> &mut ToCome {
        let is_it = |found: &ToCome| {
            found.worker == worker && found.r#type.as_deref() == r#type && found.of_cycle.as_ref() == of_cycle
        };
        let at = self.found.iter().position(is_it).unwrap_or_else(|| {
            self.found.push(ToCome {
                worker: worker.to_owned(),
                r#type: r#type.map(str::to_owned),
                count: 1,
                of_cycle: of_cycle.cloned(),
                is_for_done: false,
                joins: Vec::new(),
                due: None,
                usual_in: None,
            });
            self.found.len() - 1
        });
        &mut self.found[at]
    }
}

impl CycleState {
    fn of(kept: &KeptCycle, open: &[OpenItemView], is_held: bool) -> Self {
        let has = |kind: OpenKind| open.iter().any(|item| item.kind == kind);
        match kept.mark {
            Some(CycleMark::Cancelled { .. }) => CycleState::Cancelled,
            _ if has(OpenKind::Failed) || has(OpenKind::Parked) => CycleState::Failed,
            _ if has(OpenKind::Running) => CycleState::Running,
            _ if is_held => CycleState::Held,
            _ if has(OpenKind::Pending) || has(OpenKind::Join) => CycleState::Waiting,
            Some(CycleMark::Done { .. }) => CycleState::Done,
            _ => CycleState::Quiet,
        }
    }
}

fn note(kept: &KeptCycle) -> Option<String> {
    match kept.mark.as_ref()? {
        CycleMark::Done { .. } => None,
        CycleMark::Cancelled { user, .. } => Some(format!("cancelled by {user}")),
        CycleMark::Skipped { user, .. } => Some(format!("skipped by {user}")),
    }
}

/// Return the commands that help, without those that a number's own page shows.
fn hints(view: &CycleView, kept: &KeptCycle) -> Vec<Hint> {
    let mut hints = Vec::new();
    if matches!(kept.mark, Some(CycleMark::Cancelled { .. })) {
        let effect = "continues it and launches what is parked";
        hints.push(Hint::with_effect(format!("nowcast cycle resume {}", view.cycle), effect));
    }
    let urgent = |item: &&OpenItemView| matches!(item.kind, OpenKind::Failed | OpenKind::Parked);
    let worth = |item: &&OpenItemView| urgent(item) || item.kind == OpenKind::Pending;
    hints.extend(
        view.open.iter().filter(worth).take(3).map(|item| Hint::new(format!("nowcast why {}", item.number))),
    );
    if kept.mark.is_none()
        && view.state == CycleState::Quiet
        && view.to_come.iter().any(|one| one.is_for_done)
    {
        let effect = "limits on cycles do not wait for it any more";
        hints.push(Hint::with_effect(format!("nowcast cycle skip {}", view.cycle), effect));
    }
    hints
}

impl ToCome {
    /// Return the message, and why it is known to be missing, as text.
    #[must_use]
    pub fn describe(&self, due: impl Fn(Timestamp) -> String) -> String {
        let count = if self.count > 1 { format!("{} × ", self.count) } else { String::new() };
        let r#type = self.r#type.as_ref().map(|r#type| format!(" ({type})")).unwrap_or_default();
        let of_cycle = self.of_cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
        let mut reasons: Vec<String> = Vec::new();
        reasons.extend(self.due.map(|at| format!("due {}", due(at))));
        if self.is_for_done {
            reasons.push("the cycle is not done without it".to_owned());
        }
        if !self.joins.is_empty() {
            let joins: Vec<String> = self.joins.iter().map(|join| format!("#{join}")).collect();
            let (noun, verb) = if joins.len() == 1 { ("join", "requires") } else { ("joins", "require") };
            reasons.push(format!("{noun} {} {verb} it", joins.join(", ")));
        }
        reasons.extend(
            self.usual_in.map(|count| format!("{count} of the last {DONE_CYCLES} done cycles had it")),
        );
        format!("{count}{}{type}{of_cycle}: {}", self.worker, reasons.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_core::{Steady, TimePoint};

    fn kept(mark: Option<CycleMark>) -> KeptCycle {
        let at = TimePoint { wall: Timestamp::UNIX_EPOCH, steady: Steady(Timestamp::UNIX_EPOCH) };
        let (begun, last) = (Number(1), Number(2));
        KeptCycle {
            begun,
            begun_at: at,
            last,
            last_at: at,
            mark,
            launched: std::sync::Arc::default(),
            notes: Notes::default(),
        }
    }

    #[test]
    fn of_several_states_the_most_urgent_is_shown() {
        use OpenKind::{Failed, Join, Parked, Pending, Running};
        let at = Timestamp::UNIX_EPOCH;
        let user = || "ana".to_owned();
        let done = || Some(CycleMark::Done { message: Number(2), at });
        let skipped = || Some(CycleMark::Skipped { user: user(), at });
        let cancelled = || Some(CycleMark::Cancelled { user: user(), at });
        for (mark, kinds, is_held, expected) in [
            (None, &[][..], false, CycleState::Quiet),
            (skipped(), &[], false, CycleState::Quiet),
            (done(), &[], false, CycleState::Done),
            (done(), &[Running], false, CycleState::Running),
            (done(), &[Failed], false, CycleState::Failed),
            (None, &[Pending, Join], false, CycleState::Waiting),
            (None, &[Join], false, CycleState::Waiting),
            (None, &[Pending, Join], true, CycleState::Held),
            (None, &[Running, Pending], true, CycleState::Running),
            (None, &[Parked, Running], false, CycleState::Failed),
            (cancelled(), &[Failed, Running], false, CycleState::Cancelled),
        ] {
            let item = |kind: &OpenKind| OpenItemView { kind: *kind, number: 1, text: String::new() };
            let open: Vec<OpenItemView> = kinds.iter().map(item).collect();
            assert_eq!(CycleState::of(&kept(mark), &open, is_held), expected, "{kinds:?}");
        }
    }
}
