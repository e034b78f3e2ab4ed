//! [`SystemView`]: the system at one moment. Its keys are those of the JSON; `docs/operating.md` lists them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::Serialize;

use super::attention::{self, Attention, AttentionKind};
use super::context::ViewContext;
use super::cycle::{CycleView, CycleViews};
use super::daemons::Daemons;
use super::expected::ExpectedView;
use super::failures::of_failed_runs;
use super::run::RunView;
use super::slow::of_slow_runs;
use crate::config::{Config, ScheduledWorker};
use crate::store::journal::{History, JournalError, OpenItems};
use nowcast_core::hold::{Hold, HoldTarget};
use nowcast_core::run::Stage;
use nowcast_core::{Cycle, CycleOption, DecisionTime, Join, Now, Run, State};

/// How long a step of the wall clock is shown.
const CLOCK_SET_SHOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The most cycles that are shown.
const MOST_CYCLES: usize = 5;

/// The health of the system: whether it needs an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Health {
    /// All daemons run and nothing needs attention.
    Healthy,
    /// Something needs attention.
    Degraded,
    /// A daemon does not run.
    Down,
}

impl Health {
    /// Return the word that people see.
    pub fn word(self) -> &'static str {
        match self {
            Health::Healthy => "HEALTHY",
            Health::Degraded => "DEGRADED",
            Health::Down => "DOWN",
        }
    }
}

/// The system at one moment.
#[derive(Debug, Serialize)]
pub struct SystemView {
    /// The folder of the configuration file.
    pub name: String,
    pub state: Health,
    pub time: Timestamp,
    pub daemons: Daemons,
    /// The last step of the wall clock, if it was in the last day.
    pub clock_set: Option<ClockSetView>,
    pub rules_generation: u64,
    /// The items for an operator: the most urgent kind first, acknowledged ones last.
    pub attention: Vec<Attention>,
    /// The cycles that run, failed or wait, the most urgent first.
    pub cycles: Vec<CycleView>,
    /// The number of such cycles that are left out.
    pub more_cycles: usize,
    pub running: Vec<RunningView>,
    pub pending: Vec<PendingView>,
    /// The joins that need no attention.
    pub joins: Vec<JoinView>,
    pub holds: Vec<HoldView>,
    /// The expected messages to come, if the manager forecasts them, the soonest deadline first.
    pub expected: Vec<ExpectedView>,
    /// The next launch of each entry of the schedule, the soonest first.
    pub schedule: Vec<ScheduledView>,
}

/// A step of the wall clock.
#[derive(Debug, Serialize)]
pub struct ClockSetView {
    /// When it was, by the clock as it is set now.
    pub time: Timestamp,
    /// The time that the clock would have shown.
    pub from: Timestamp,
    /// The time that it showed.
    pub to: Timestamp,
}

/// The next launch of an entry of the schedule.
#[derive(Debug, Serialize)]
pub struct ScheduledView {
    pub worker: String,
    pub args: Vec<String>,
    /// The whole entry, with its times.
    pub item: String,
    pub next: Timestamp,
    /// The cycle of that launch, if the entry names one.
    pub cycle: Option<String>,
}

/// A run whose process runs or whose report is awaited.
#[derive(Debug, Serialize)]
pub struct RunningView {
    #[serde(flatten)]
    pub run: RunView,
    /// The usual duration of such a run, in seconds.
    pub usual_seconds: Option<f64>,
}

/// A pending launch.
#[derive(Debug, Serialize)]
pub struct PendingView {
    #[serde(flatten)]
    pub run: RunView,
    /// The reason, other than its due time, why it has not started.
    pub blocked_by: Option<String>,
}

/// A join.
#[derive(Debug, Serialize)]
pub struct JoinView {
    pub number: u64,
    pub name: String,
    pub cycle: Option<String>,
    /// The messages that it still requires.
    pub requires: Vec<RequiredView>,
    /// The messages that have counted in it.
    pub received: Vec<u64>,
    /// The number of launches that wait in it.
    pub launches: usize,
    pub deadline: Option<Timestamp>,
    pub opened_by: u64,
}

/// Messages that a join waits for.
#[derive(Debug, Serialize)]
pub struct RequiredView {
    pub worker: String,
    pub r#type: Option<String>,
    /// The number of messages that are still missing.
    pub count: u64,
}

impl fmt::Display for RequiredView {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count > 1 {
            write!(out, "{} × ", self.count)?;
        }
        write!(out, "{}", self.worker)?;
        self.r#type.as_ref().map_or(Ok(()), |r#type| write!(out, " ({type})"))
    }
}

/// A hold.
#[derive(Debug, Serialize)]
pub struct HoldView {
    pub number: u64,
    pub target: String,
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
    pub user: String,
}

impl SystemView {
    /// Gather the view from the journal, the control socket and the daemons' files: of everything, or of a cycle.
    pub fn gather(config: &Config, time: &DecisionTime, of: Option<&Cycle>) -> Self {
        let now = &time.wall;
        let daemons = Daemons::gather(config);
        let mut view = Self {
            name: name(config),
            state: Health::Healthy,
            time: now.timestamp(),
            clock_set: None,
            rules_generation: 0,
            attention: Vec::new(),
            daemons,
            cycles: Vec::new(),
            more_cycles: 0,
            running: Vec::new(),
            joins: Vec::new(),
            holds: Vec::new(),
            pending: Vec::new(),
            expected: Vec::new(),
            schedule: schedule(config, now),
        };
        let journal = match History::open(&config.journal.folder) {
            Err(JournalError::None { .. }) => None,
            opened => Some(opened),
        };
        view.attention = attention::of_daemons(&view.daemons, config, journal.is_some());
        if let Some(Err(error)) = journal.map(|opened| view.read_journal(opened?, config, time, of)) {
            view.attention.push(Attention::of_journal(&error));
        }
        // The sort is stable, so items of one kind keep their order.
        view.attention.sort_by_key(|item| (item.acknowledged.is_some(), item.kind));
        view.state = match (view.daemons.is_one_missing(), view.unacknowledged()) {
            (true, _) => Health::Down,
            (false, 0) => Health::Healthy,
            (false, _) => Health::Degraded,
        };
        if let Some(cycle) = of {
            view.retain_cycle(cycle);
        }
        view
    }

    /// Return the number of attention items that no operator has acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.attention.iter().filter(|item| item.acknowledged.is_none()).count()
    }

    fn read_journal(
        &mut self,
        history: History,
        config: &Config,
        time: &DecisionTime,
        of: Option<&Cycle>,
    ) -> Result<(), JournalError> {
        let context = ViewContext::new(config.clone(), history, time.clone())?;
        let open = context.history.open_now()?;
        self.clock_set = clock_set(&context, &open)?;
        self.rules_generation = open.rules.as_ref().map_or(0, |rules| rules.generation);
        self.expected = ExpectedView::gather(config, &open.expected, context.now.timestamp());
        let mut items = of_failed_runs(&context, &open)?;
        items.extend(attention::of_journal(&context, &open)?);
        items.extend(of_slow_runs(&context, &open)?);
        let shown: HashSet<u64> = items
            .iter()
            .filter(|item| item.kind == AttentionKind::Join)
            .filter_map(|item| item.number)
            .collect();
        self.attention.extend(items);
        let quiet = open.joins.iter().filter(|join| !shown.contains(&join.id.0));
        self.joins = quiet.map(|join| JoinView::new(join, context.present)).collect();
        self.holds = open.holds.iter().map(|hold| HoldView::new(hold, context.present)).collect();
        let cycles = CycleViews::new(&context, &open, context.history.cycles_now()?);
        self.read_cycles(&cycles, &open, of)?;
        self.read_runs(&context, &open, cycles.state())
    }

    /// Add the cycles with open items or failures, or one of them: first those with failures, then those that run, then the latest.
    fn read_cycles(
        &mut self,
        views: &CycleViews<'_>,
        open: &OpenItems,
        of: Option<&Cycle>,
    ) -> Result<(), JournalError> {
        let urgent: HashSet<&str> =
            self.attention.iter().flat_map(|item| item.cycles.iter().map(String::as_str)).collect();
        let is_running = |run: &&Run| !matches!(run.stage, Stage::Pending { .. });
        let running: HashSet<&Cycle> =
            open.runs.iter().filter(is_running).filter_map(|run| run.cycle.as_ref()).collect();
        let mut candidates = views.latest();
        candidates.retain(|(cycle, _)| of.is_none_or(|of| cycle == &of));
        candidates.retain(|(cycle, _)| {
            urgent.contains(cycle.as_str()) || views.state().activity.open_in(cycle).next().is_some()
        });
        candidates.sort_by_key(|(cycle, _)| (!urgent.contains(cycle.as_str()), !running.contains(cycle)));
        self.more_cycles = candidates.len().saturating_sub(MOST_CYCLES);
        let mut shown = Vec::new();
        for (cycle, _) in candidates.into_iter().take(MOST_CYCLES) {
            shown.extend(views.view(cycle)?.filter(|view| view.state.is_current()));
        }
        self.cycles = shown;
        Ok(())
    }

    /// Leave only what concerns a cycle: daemons, journal and rules concern each.
    fn retain_cycle(&mut self, cycle: &Cycle) {
        let label = cycle.as_str();
        let is_of_cycle = |run: &RunView| run.cycle.as_deref() == Some(label);
        self.attention.retain(|item| {
            let is_common = matches!(
                item.kind,
                AttentionKind::Daemon
                    | AttentionKind::Journal
                    | AttentionKind::Restored
                    | AttentionKind::Rules
            );
            is_common || item.cycles.iter().any(|other| other == label)
        });
        self.running.retain(|running| is_of_cycle(&running.run));
        self.pending.retain(|pending| is_of_cycle(&pending.run));
        self.joins.retain(|join| join.cycle.as_deref() == Some(label));
        let target = HoldTarget::Cycle(cycle.clone()).to_string();
        self.holds.retain(|hold| hold.target == target);
        self.expected.retain(|expected| expected.cycle.as_deref() == Some(label));
        self.schedule.retain(|scheduled| scheduled.cycle.as_deref() == Some(label));
    }

    fn read_runs(
        &mut self,
        context: &ViewContext,
        open: &OpenItems,
        state: &State,
    ) -> Result<(), JournalError> {
        // Thousands of runs may have the same worker and arguments, so their usual duration is read once.
        let mut usual_of = HashMap::new();
        for run in &open.runs {
            let view = RunView::new(run, context);
            if matches!(run.stage, Stage::Pending { .. }) {
                self.pending.push(PendingView { run: view, blocked_by: state.blocked_by(run) });
            } else {
                let usual_seconds = match usual_of.entry((run.worker.name(), &run.worker.args)) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        let usual = context.history.usual_duration(run.worker.name(), &run.worker.args)?;
                        *new.insert(usual.map(|usual| usual.as_secs_f64()))
                    }
                };
                self.running.push(RunningView { run: view, usual_seconds });
            }
        }
        self.pending.sort_by_key(|pending| (pending.run.due, pending.run.number));
        Ok(())
    }
}

impl JoinView {
    fn new(join: &Join, present: Now) -> Self {
        let requires = join.requires.iter().map(|requirement| RequiredView {
            worker: requirement.worker.clone(),
            r#type: requirement.r#type.clone(),
            count: u64::from(requirement.count),
        });
        Self {
            number: join.id.0,
            name: join.name.clone(),
            cycle: join.cycle.as_ref().map(Cycle::to_string),
            requires: requires.collect(),
            received: join.received.iter().map(|number| number.0).collect(),
            launches: join.launches().len(),
            deadline: join.deadline.map(|deadline| present.wall_at(deadline)),
            opened_by: join.opened_by.0,
        }
    }
}

impl HoldView {
    fn new(hold: &Hold, present: Now) -> Self {
        Self {
            number: hold.id.0,
            target: hold.target.to_string(),
            until: hold.end(present).map(|end| present.wall_at(end)),
            reason: hold.reason.clone(),
            user: hold.user.clone(),
        }
    }
}

/// Return the last step of the wall clock, if it was in the last day. The manager may not have recorded it yet.
fn clock_set(context: &ViewContext, open: &OpenItems) -> Result<Option<ClockSetView>, JournalError> {
    let unrecorded = open.clock.next_reading(&context.time).filter(|reading| reading.set_from.is_some());
    let reading =
        unrecorded.map_or_else(|| context.history.last_clock_step(), |reading| Ok(Some(reading)))?;
    let present = context.present;
    let recent = reading.filter(|reading| present.steady.since(reading.steady) <= CLOCK_SET_SHOWN_FOR);
    Ok(recent.and_then(|reading| {
        let time = present.wall_at(reading.steady);
        Some(ClockSetView { time, from: reading.set_from?, to: reading.wall })
    }))
}

/// Return the next time of each scheduled worker, the soonest first.
fn schedule(config: &Config, now: &ZonedDateTime) -> Vec<ScheduledView> {
    let next = |entry: &ScheduledWorker| {
        let there = now.timestamp().to_zoned_datetime(entry.zone.clone());
        let next = entry.times.after(&there)?.timestamp();
        let cycle = entry.cycle_at(next).and_then(CycleOption::into_label);
        Some(ScheduledView {
            worker: entry.name().to_owned(),
            args: entry.args.clone(),
            item: entry.item(),
            next,
            cycle: cycle.map(|cycle| cycle.to_string()),
        })
    };
    let mut schedule: Vec<ScheduledView> = config.scheduled.iter().filter_map(next).collect();
    schedule.sort_by_key(|scheduled| scheduled.next);
    schedule
}

/// Return the name of the configuration file's folder, or of the file if the folder has no name.
fn name(config: &Config) -> String {
    let file = path::absolute(&config.file).unwrap_or_else(|_| config.file.clone());
    let folder = file.parent().and_then(|folder| folder.file_name());
    let name = folder.or_else(|| file.file_stem()).unwrap_or_default();
    name.to_string_lossy().into_owned()
}
