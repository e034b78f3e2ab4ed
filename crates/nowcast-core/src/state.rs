//! [`State`]: the manager's state between two events.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::checklist::Checklist;
use crate::clock::{Clock, Now, Steady, TimePoint};
use crate::cycle::Cycle;
use crate::cycle_activity::CycleActivity;
use crate::cycles::Cycles;
use crate::decision_time::DecisionTime;
use crate::expected::AllExpected;
use crate::hold::Hold;
use crate::joins::Joins;
use crate::launched_times::LaunchedTimes;
use crate::parked::Parked;
use crate::policy::{CycleMessage, Limits, Policy};
use crate::record::Change;
use crate::run::{Number, Run, Stage};
use crate::runs::Runs;
use pyyaml::{Map, Value};

/// How long after its end a run may still report before the manager reports a `crash` for it.
pub const REPORT_GRACE: SignedDuration = SignedDuration::from_secs(2);

/// The manager's state. Only [`State::apply`] changes the part that the journal stores, so a restarted manager has the same state.
#[derive(Debug, Clone)]
pub struct State {
    /// The part of the configuration in force that decisions depend on.
    pub policy: Arc<Policy>,
    /// The checklist.
    pub checklist: Checklist,
    /// The last event that changed the checklist.
    pub checklist_event: Number,
    /// The kept cycles, and the notes of messages.
    pub cycles: Cycles,
    /// Which cycles have open items.
    pub activity: CycleActivity,
    /// The open joins.
    pub joins: Joins,
    /// The open runs: pending, launched, or ended without a report.
    pub runs: Runs,
    /// Parked messages and launches.
    pub parked: BTreeMap<Number, Parked>,
    /// The holds.
    pub holds: BTreeMap<Number, Hold>,
    /// The times for which each entry of the schedule was launched.
    pub scheduled: BTreeMap<String, LaunchedTimes>,
    /// The expected messages.
    pub expected: AllExpected,
    /// The origin of steady time.
    pub clock: Clock,
    /// The messages of `cycles: done:` that all kept cycles have been compared with.
    pub done_compared_with: Vec<CycleMessage>,
    /// The last number in use.
    pub last_number: u64,
    /// The rules generation in force, and the hash of its files.
    pub rules: (u64, String),
    /// The event since which it is known, and logged, that the notes of cycles take too much memory.
    pub notes_full_since: Option<Number>,
    /// Whether changed rules have been refused since the rules in force were loaded.
    pub rules_refused: bool,
    /// Whether the manager stops when nothing is left to do.
    pub exit_when_idle: bool,
    /// Whether a worker, run or rule failed. With `--exit-when-idle` it determines the exit status.
    pub has_failures: bool,
}

impl State {
    /// Create the state of a new system.
    #[must_use]
    pub fn new(policy: Arc<Policy>, checklist: Checklist) -> Self {
        Self {
            policy,
            checklist,
            checklist_event: Number(0),
            cycles: Cycles::default(),
            activity: CycleActivity::default(),
            joins: Joins::default(),
            runs: Runs::default(),
            parked: BTreeMap::new(),
            holds: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            expected: AllExpected::new(),
            clock: Clock::default(),
            done_compared_with: Vec::new(),
            last_number: 0,
            rules: (0, String::new()),
            notes_full_since: None,
            rules_refused: false,
            exit_when_idle: false,
            has_failures: false,
        }
    }

    /// Create the state in the journal, from its checklist, its cycles, its open items as changes, the last number in use, and
    /// the wall clock at the last event.
    #[must_use]
    pub fn recovered(
        policy: Arc<Policy>,
        checklist: Map,
        cycles: Cycles,
        open: impl IntoIterator<Item = Change>,
        last_number: u64,
        last_event: Option<Timestamp>,
    ) -> Self {
        let mut state = Self::new(policy, Checklist::new(checklist));
        state.cycles = cycles;
        for (cycle, kept) in state.cycles.clone().kept() {
            state.activity.seen(cycle, kept.last_at.steady);
            state.update_slots(cycle, None);
        }
        for change in open {
            state.apply(&change, &Value::Null);
        }
        state.last_number = last_number;
        state.clock.last_event = last_event;
        state
    }

    /// Return the present at the time of a decision.
    #[must_use]
    pub fn now(&self, time: &DecisionTime) -> Now {
        self.clock.now(time)
    }

    /// Return whether no run and no join is open.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.joins.is_empty()
    }

    /// Apply a change. `payload` is that of the record's message.
    pub fn apply(&mut self, change: &Change, payload: &Value) {
        match change {
            Change::PayloadMerged { key } => {
                self.checklist.update(key, payload.clone());
            }
            Change::ChecklistSet { path, value } => {
                self.checklist.set(path.as_list().unwrap_or_default(), value.clone());
            }
            Change::ChecklistReplaced { checklist } => {
                self.checklist = Checklist::new(checklist.as_map().cloned().unwrap_or_default());
            }
            Change::Noted(_) | Change::CycleRewound { .. } => {
                change.apply_to_cycles(&mut self.cycles, payload);
            }
            Change::CycleSeen { cycle, at, .. } => {
                change.apply_to_cycles(&mut self.cycles, payload);
                self.activity.seen(cycle, at.steady);
            }
            Change::CycleLaunched { cycle, worker } => {
                change.apply_to_cycles(&mut self.cycles, payload);
                self.update_slots(cycle, Some(worker));
            }
            Change::CycleMarked { cycle, .. } => {
                change.apply_to_cycles(&mut self.cycles, payload);
                self.update_slots(cycle, None);
            }
            Change::CycleForgotten(cycle) => {
                if let Some(kept) = self.cycles.get(cycle) {
                    self.activity.frees_slots(cycle, &*kept.launched);
                }
                change.apply_to_cycles(&mut self.cycles, payload);
                self.activity.forgotten(cycle);
            }
            Change::Run(run) if run.is_closed() => {
                self.runs.remove(run.id);
                self.activity.closed(run.id);
            }
            Change::Run(run) => {
                self.runs.put(run.clone());
                self.activity.opened(run.id, run.cycle.clone());
            }
            Change::Join(join) => {
                self.joins.put(join.clone());
                self.activity.opened(join.id, join.cycle.clone());
            }
            Change::JoinClosed(id) => {
                self.joins.close(*id);
                self.activity.closed(*id);
            }
            Change::JoinForgotten(id) => self.joins.forget(*id),
            Change::JoinConflict { id, conflict } => self.joins.set_conflict(*id, conflict),
            Change::Parked(parked) => {
                self.parked.insert(parked.id, parked.clone());
                self.activity.opened(parked.id, parked.cycles().cloned());
            }
            Change::ParkedClosed(id) => {
                self.parked.remove(id);
                self.activity.closed(*id);
            }
            Change::Hold(hold) => {
                self.holds.insert(hold.id, hold.clone());
            }
            Change::HoldReleased(id) => {
                self.holds.remove(id);
            }
            Change::Acknowledged(_) => {}
            Change::Scheduled { item, due, expired } => {
                self.scheduled.entry(item.clone()).or_default().add(*due, expired);
            }
            Change::Expected(expected) => {
                let key = (expected.worker.clone(), expected.r#type.clone());
                self.expected.insert(key, expected.clone());
            }
            Change::NotExpected(worker, r#type) => {
                self.expected.remove(&(worker.clone(), r#type.clone()));
            }
            Change::Clock(reading) => self.clock.reading = Some(reading.clone()),
            Change::Rules(generation, hash, _) => self.rules = (*generation, hash.clone()),
        }
    }

    /// Update the slots that a cycle takes: of a worker, or of all that were launched in it.
    fn update_slots(&mut self, cycle: &Cycle, worker: Option<&String>) {
        let Some(kept) = self.cycles.get(cycle) else { return };
        let all = kept.launched.iter().filter(|_| worker.is_none());
        let workers = worker.into_iter().chain(all);
        if kept.mark.is_none() {
            self.activity.takes_slots(cycle, workers);
        } else {
            self.activity.frees_slots(cycle, workers);
        }
    }

    /// Return when the next [`super::Event::Due`] is needed. Everything that was due by `earlier` must have been decided; a step of the
    /// wall clock until then is not foreseen.
    #[must_use]
    pub fn next_due(&self, earlier: TimePoint, now: Now) -> Option<Steady> {
        // Runs that were due before are blocked, and time alone does not change that.
        let pending = self.runs.next_due(earlier, now);
        let running = self.runs.running().filter_map(|run| self.timeout_of(run));
        let ended = self.runs.awaiting_report().filter_map(Run::end_learned_at);
        let ended = ended.map(|at| at.steady.after(REPORT_GRACE));
        let joins = self.joins.next_deadline();
        let holds = self.holds.values().filter_map(|hold| hold.end(now));
        let expected = self.next_expected(now).map(|expected| now.steady_at(expected));
        let forgotten = self.next_forgotten().map(|(at, _)| at);
        let due = running.chain(ended).chain(joins).chain(holds).chain(pending);
        due.chain(expected).chain(forgotten).min()
    }

    /// Return the same for a day that has no clock but the wall clock: a recorded one, or that of a test.
    #[must_use]
    pub fn next_due_by_wall_clock(&self, earlier: Timestamp) -> Option<Timestamp> {
        let now = Now::by_wall_clock(earlier);
        self.next_due(now.time, now).map(|due| due.0)
    }

    /// Return when a running run reaches its timeout, unless its stop has been requested.
    pub(super) fn timeout_of(&self, run: &Run) -> Option<Steady> {
        let Stage::Launched { at, .. } = &run.stage else { return None };
        let timeout = self.setting(run, |worker| worker.timeout, run.worker.options.timeout)?;
        // A timeout beyond the end of the calendar never comes.
        at.steady.checked_after(timeout).filter(|_| run.stop_requested.is_none())
    }

    /// Return an option of the launch, or else the setting of its worker.
    pub(super) fn setting<T>(
        &self,
        run: &Run,
        configured: impl Fn(&Limits) -> Option<T>,
        said: Option<T>,
    ) -> Option<T> {
        said.or_else(|| self.policy.limits.get(run.worker.name()).and_then(configured))
    }
}
