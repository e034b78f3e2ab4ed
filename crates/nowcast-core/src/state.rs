//! [`State`]: all that the manager knows between two events.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::checklist::Checklist;
use crate::expected::AllExpected;
use crate::hold::Hold;
use crate::joins::Joins;
use crate::parked::Parked;
use crate::policy::{Limits, Policy};
use crate::record::Change;
use crate::run::{Number, Run, Stage};
use crate::runs::Runs;
use pyyaml::{Map, Value};

/// How long after the end of a run its message may still come before a `crash` is made for it.
pub const REPORT_GRACE: SignedDuration = SignedDuration::from_secs(2);

/// What the manager knows. Only [`State::apply`] changes what is to be kept, so that a manager that
/// starts anew knows the same.
#[derive(Debug, Clone)]
pub struct State {
    /// The part of the configuration in force that decisions depend on.
    pub policy: Arc<Policy>,
    /// The state of the user's system.
    pub checklist: Checklist,
    /// The last event that changed it.
    pub checklist_event: Number,
    /// Launches that wait for workers to finish.
    pub joins: Joins,
    /// Runs of which something is still to come.
    pub runs: Runs,
    /// What waits for an operator.
    pub parked: BTreeMap<Number, Parked>,
    /// Orders that launches wait.
    pub holds: BTreeMap<Number, Hold>,
    /// The last of its times that each worker of the schedule was launched for.
    pub scheduled: BTreeMap<String, Timestamp>,
    /// What must have come before a time of day.
    pub expected: AllExpected,
    /// The last number that was given to an event or anything else.
    pub last_number: u64,
    /// The rules in force: how many different ones there have been, and the hash of their files.
    pub rules: (u64, String),
    /// Whether changed rules were refused since.
    pub rules_refused: bool,
    /// Whether the manager ends by itself when nothing is left to do.
    pub exit_when_idle: bool,
    /// Whether a worker crashed, a run ended badly or a rule failed: what
    /// `--exit-when-idle` turns into the exit status.
    pub has_failures: bool,
}

impl State {
    /// The state of a system in which nothing has happened yet.
    #[must_use]
    pub fn new(policy: Arc<Policy>, checklist: Checklist) -> Self {
        Self {
            policy,
            checklist,
            checklist_event: Number(0),
            joins: Joins::default(),
            runs: Runs::default(),
            parked: BTreeMap::new(),
            holds: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            expected: AllExpected::new(),
            last_number: 0,
            rules: (0, String::new()),
            rules_refused: false,
            exit_when_idle: false,
            has_failures: false,
        }
    }

    /// The state as the journal has it: its checklist, what is open as changes that make it so, and the last number
    /// that was given.
    #[must_use]
    pub fn recovered(
        policy: Arc<Policy>,
        checklist: Map,
        open: impl IntoIterator<Item = Change>,
        last_number: u64,
    ) -> Self {
        let mut state = Self::new(policy, Checklist::new(checklist));
        for change in open {
            state.apply(&change, &Value::Null);
        }
        state.last_number = last_number;
        state
    }

    /// Whether no run is open and no join waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.joins.is_empty()
    }

    /// Makes a change. `payload` is that of the message which the change belongs to.
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
            Change::Run(run) if run.is_closed() => {
                self.runs.remove(run.id);
            }
            Change::Run(run) => {
                self.runs.put((**run).clone());
            }
            Change::Join(join) => self.joins.put(join.clone()),
            Change::JoinClosed(id) => self.joins.remove(*id),
            Change::Parked(parked) => {
                self.parked.insert(parked.id, parked.clone());
            }
            Change::ParkedClosed(id) => {
                self.parked.remove(id);
            }
            Change::Hold(hold) => {
                self.holds.insert(hold.id, hold.clone());
            }
            Change::HoldReleased(id) => {
                self.holds.remove(id);
            }
            Change::Acknowledged(_) => {}
            Change::Scheduled { item, due } => {
                self.scheduled.insert(item.clone(), *due);
            }
            Change::Expected(expected) => {
                let key = (expected.worker.clone(), expected.r#type.clone());
                self.expected.insert(key, expected.clone());
            }
            Change::ExpectedNoMore(worker, r#type) => {
                self.expected.remove(&(worker.clone(), r#type.clone()));
            }
            Change::Rules(generation, hash, _) => self.rules = (*generation, hash.clone()),
        }
    }

    /// When [`super::Event::Due`] has something to do next, if everything that was due at `after` is done.
    #[must_use]
    pub fn next_due(&self, after: Timestamp) -> Option<Timestamp> {
        // One that was due then waits for something else than the time.
        let waiting = self.runs.next_due(after);
        let running = self.runs.running().filter_map(|run| self.time_limit(run));
        let ended = self.runs.ended().filter_map(Run::ended_at).map(|at| at + REPORT_GRACE);
        let joins = self.joins.open().filter_map(|join| join.deadline);
        let holds = self.holds.values().filter_map(|hold| hold.until);
        let expected = self.next_expected();
        running.chain(ended).chain(joins).chain(holds).chain(waiting).chain(expected).min()
    }

    /// When a running run is to be ended, unless it was told to already.
    pub(super) fn time_limit(&self, run: &Run) -> Option<Timestamp> {
        let Stage::Launched { at, .. } = &run.stage else { return None };
        let limit = self.setting(run, |worker| worker.timeout, run.worker.options.timeout)?;
        // A limit beyond the end of the calendar is none.
        at.checked_add(limit).ok().filter(|_| run.stop_requested.is_none())
    }

    /// What a rule says of a launch, or else what the configuration says of its worker.
    pub(super) fn setting<T>(
        &self,
        run: &Run,
        configured: impl Fn(&Limits) -> Option<T>,
        said: Option<T>,
    ) -> Option<T> {
        said.or_else(|| self.policy.limits.get(run.worker.name()).and_then(configured))
    }
}
