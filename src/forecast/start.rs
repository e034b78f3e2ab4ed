//! [`Start`]: the present from which a forecast begins: the state in the journal, the schedule, the deadlines and the rules.
//!
//! It is read once, and the threads of a forecast share it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::draw::{RunKey, RunningNow};
use super::history::{CycleKey, HORIZON, PastRuns};
use super::like::Likeness;
use crate::config::Config;
use crate::rules::{Engine, RuleSet, RulesLoadError};
use crate::scheduler::due::{self, EarlierLaunches, SchedulePlan};
use crate::store::journal::EventFilter;
use crate::store::{History, JournalError};
use nowcast_core::cycles::Cycles;
use nowcast_core::expected::Expected;
use nowcast_core::record::{RecordedEvent, Speaker};
use nowcast_core::run::Stage;
use nowcast_core::{
    Command, DecisionTime, LaunchedTimes, Now, Number, OpenDeadline, Policy, Record, RuleFile, Run, State,
    TimePoint,
};
use pyyaml::Map;

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// The journal cannot be read.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The rules cannot be used.
    #[error("{0}")]
    Rules(#[from] RulesLoadError),
    /// The forecast cannot begin at that time.
    #[error("the forecast cannot begin at {0}, which is not after now; use a later date")]
    NotAfterNow(String),
    /// A span that is too long or empty.
    #[error("the forecast cannot end at {0}; use a time between its beginning and {LONGEST_DAYS} days later")]
    Until(String),
}

/// The longest forecast, in days. The schedule may have a launch each minute.
pub const LONGEST_DAYS: i64 = 31;

/// How many times the present is read until nothing happens meanwhile.
const MOST_READS: usize = 5;

/// The most messages of a kind that are passed over because they were decided again.
const MOST_DECIDED_AGAIN: u32 = 50;

/// The usual forecast, in hours: the rest of the day and the night.
pub const USUAL_HOURS: i64 = 24;

/// Rules, ready to be loaded in each thread.
#[derive(Debug, Clone)]
pub struct ForecastRules {
    set: RuleSet,
    files: Vec<RuleFile>,
}

impl ForecastRules {
    /// Return the rules in force, or those of the configuration if the journal has none.
    ///
    /// # Errors
    /// The journal cannot be read, or there are no rules that can be used.
    pub fn in_force(config: &Config, history: &History) -> Result<Self, ForecastError> {
        let set = RuleSet::of(config);
        let generation = history.rules_in_force()?.map_or(0, |rules| rules.generation);
        let stored = history.rule_files(generation)?;
        let files = if stored.is_empty() { set.load(None)?.files() } else { stored };
        Ok(Self { set, files })
    }

    /// Return the rules of a generation, if the journal has kept them.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn of_generation(
        config: &Config,
        history: &History,
        generation: u64,
    ) -> Result<Option<Self>, ForecastError> {
        let files = history.rule_files(generation)?;
        Ok((!files.is_empty()).then(|| Self { set: RuleSet::of(config), files }))
    }

    /// Return an edited copy of the rules as if it were in their place.
    ///
    /// # Errors
    /// The rules cannot be used.
    pub fn edited(config: &Config, path: &Path) -> Result<Self, ForecastError> {
        let set = RuleSet::of(config);
        let files = set.load(Some(path))?.files();
        Ok(Self { set, files })
    }

    /// Load them. An engine serves one thread.
    ///
    /// # Errors
    /// They cannot be used any more.
    pub fn load(&self) -> Result<Engine, RulesLoadError> {
        self.set.load_stored(&self.files)
    }
}

/// A launch of the schedule.
#[derive(Debug, Clone)]
pub struct ScheduledLaunch {
    /// When it comes.
    pub at: Timestamp,
    /// What the scheduler asks the manager for.
    pub command: Command,
}

/// The present from which a forecast begins.
#[derive(Debug)]
pub struct Start {
    /// The state.
    pub state: State,
    /// When the forecast begins, in the manager's time zone.
    pub begin: ZonedDateTime,
    /// When it ends.
    pub until: Timestamp,
    /// The last event that it knows.
    pub based_on: Number,
    /// The day until which the past is known.
    pub today: Date,
    /// The past.
    pub past: PastRuns,
    /// The launches of the schedule, the soonest first.
    pub schedule: Vec<ScheduledLaunch>,
    /// The deadlines to come, the soonest first.
    pub deadlines: Vec<OpenDeadline>,
    /// The runs that are running.
    pub running: Vec<RunningNow>,
    /// The journal's folder: each thread opens it.
    pub journal: PathBuf,
}

/// When a forecast begins and ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The date from whose first moment on the schedule is simulated, without anything that is open; `None` for now.
    pub at: Option<Date>,
    /// The end; `None` for 24 hours after its beginning.
    pub until: Option<Timestamp>,
}

impl Start {
    /// Read the present. `time` is now.
    ///
    /// # Errors
    /// The journal cannot be read, or the span is invalid.
    pub fn read(
        config: &Config,
        history: &History,
        time: &DecisionTime,
        span: Span,
    ) -> Result<Self, ForecastError> {
        // Its parts are read one after the other, and a manager may write in between.
        for _ in 1..MOST_READS {
            let before = history.last_event()?;
            let start = Self::read_once(config, history, time, span)?;
            if history.last_event()? == before {
                return Ok(start);
            }
        }
        Self::read_once(config, history, time, span)
    }

    fn read_once(
        config: &Config,
        history: &History,
        time: &DecisionTime,
        span: Span,
    ) -> Result<Self, ForecastError> {
        let now = &time.wall;
        let begin = span.at.map_or_else(|| Ok(now.clone()), |date| begin_of(date, now))?;
        let until = end_of(&begin, span.until)?;
        let mut open = history.open_now()?;
        let present = open.clock.now(time);
        let schedule = schedule(config, history, &open.scheduled, present, begin.timestamp(), until)?;
        let past = PastRuns::read(history, now.time_zone(), now.timestamp(), HORIZON)?;
        let (checklist, cycles) = history.checklist_and_cycles_now()?;
        let policy = policy(config);
        let last_number = open.state(policy.clone(), Map::new(), Cycles::default()).last_number;
        if span.at.is_some() {
            (open.runs, open.joins, open.parked, open.holds) = Default::default();
            for expected in &mut open.expected {
                expected.evaluated_until = expected.evaluated_until.max(begin.timestamp());
                (expected.late, expected.late_cycle) = (None, None);
            }
        }
        let mut state = open.state(policy, checklist, cycles);
        state.last_number = last_number;
        let based_on = open.last_event.map_or(Number(0), |event| event.number);
        let mut start =
            Self::of(config, state, begin, until, KnownPast { past, schedule, based_on, today: now.date() });
        // The result of such a window before the day is not known.
        start.deadlines.retain(|deadline| {
            span.at.is_none() || deadline.cycle.is_some() || deadline.since >= start.begin.timestamp()
        });
        Ok(start)
    }

    /// Read what was known before an event of the past. `full` is the past until later. It begins at a moment before it, and after the events before. Nothing
    /// that the scheduler would catch up with is known.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn before(
        config: &Config,
        history: &History,
        full: &PastRuns,
        event: Number,
        begin: ZonedDateTime,
        until: Timestamp,
    ) -> Result<Self, ForecastError> {
        let at = begin.timestamp();
        let policy = policy(config);
        let checklist = history.checklist_before(event)?;
        let cycles = history.cycles_before(event)?.unwrap_or_default();
        let mut open = history.open_before(event, &policy, &cycles)?;
        let past = full.before(event, at, HORIZON);
        open.expected = expected_before(history, event, at)?;
        let plan = SchedulePlan::new(&config.scheduled, Vec::new(), at);
        let schedule = launches_of(plan, at, at, until);
        let based_on = Number(event.0.saturating_sub(1));
        let today = begin.date();
        let mut state = open.state(policy, checklist, cycles);
        state.last_number = state.last_number.max(based_on.0);
        Ok(Self::of(config, state, begin, until, KnownPast { past, schedule, based_on, today }))
    }

    fn of(
        config: &Config,
        mut state: State,
        begin: ZonedDateTime,
        until: Timestamp,
        known: KnownPast,
    ) -> Self {
        let KnownPast { past, schedule, based_on, today } = known;
        state.exit_when_idle = false;
        let present = state.now(&begin.clone().into());
        let deadlines = state.open_deadlines(present, until);
        let running = state
            .runs
            .running()
            .map(|run| running_now(run, &past, |at| present.wall_of(at.wall, Some(at.steady))));
        let (running, journal) = (running.collect(), config.journal.folder.clone());
        Self { state, begin, until, based_on, today, past, schedule, deadlines, running, journal }
    }
}

/// What is known when a forecast begins, besides the state.
struct KnownPast {
    past: PastRuns,
    schedule: Vec<ScheduledLaunch>,
    based_on: Number,
    today: Date,
}

/// The policy of a simulation: it tells no one of an alarm.
fn policy(config: &Config) -> Arc<Policy> {
    Arc::new(Policy { has_notification_targets: false, ..config.policy() })
}

/// The expected messages as they were before an event, at a moment of the past.
fn expected_before(history: &History, event: Number, at: Timestamp) -> Result<Vec<Expected>, ForecastError> {
    let mut all = history.open_now()?.expected;
    for expected in &mut all {
        let of_kind = EventFilter::of_messages(&expected.worker, &expected.r#type);
        let last = history.events(&EventFilter {
            before: Some(event),
            limit: Some(MOST_DECIDED_AGAIN),
            ..of_kind
        })?;
        // A parked message was received when it was parked, not when it was decided again.
        let is_received = |record: &&Record| matches!(&record.event, RecordedEvent::Message(message) if message.speaker != Speaker::Retry);
        expected.last_received = last.iter().find(is_received).map(|last| last.at.timestamp());
        expected.last_received_steady = None;
        (expected.evaluated_until, expected.late, expected.late_cycle) = (at, None, None);
        expected.at_risk = Vec::new();
    }
    Ok(all)
}

/// Return the first moment of a date that is still to come.
///
/// # Errors
/// It is not.
pub fn begin_of(date: Date, now: &ZonedDateTime) -> Result<ZonedDateTime, ForecastError> {
    let begin = date.to_zoned_datetime(now.time_zone().clone()).ok().filter(|begin| begin > now);
    begin.ok_or_else(|| ForecastError::NotAfterNow(date.to_string()))
}

fn end_of(begin: &ZonedDateTime, until: Option<Timestamp>) -> Result<Timestamp, ForecastError> {
    let first = begin.timestamp();
    let after = |hours| first.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX);
    let until = until.unwrap_or_else(|| after(USUAL_HOURS));
    if first < until && until <= after(LONGEST_DAYS * 24) {
        return Ok(until);
    }
    let until = until.to_zoned_datetime(begin.time_zone().clone());
    Err(ForecastError::Until(until.strftime("%Y-%m-%d %H:%M").to_string()))
}

/// The launches that the scheduler asks for, those included that it catches up with.
fn schedule(
    config: &Config,
    history: &History,
    launched: &BTreeMap<String, LaunchedTimes>,
    present: Now,
    begin: Timestamp,
    until: Timestamp,
) -> Result<Vec<ScheduledLaunch>, JournalError> {
    let launches = config.scheduled.iter().map(|entry| {
        let times = launched.get(&entry.item()).cloned().unwrap_or_default();
        EarlierLaunches::read(history, entry, times, present)
    });
    let mut plan =
        SchedulePlan::new(&config.scheduled, launches.collect::<Result<_, _>>()?, present.time.wall);
    plan.collect_due(present.time.wall);
    Ok(launches_of(plan, present.time.wall, begin, until))
}

/// The launches of a plan until a moment. Those that are due already come now.
fn launches_of(
    mut plan: SchedulePlan,
    now: Timestamp,
    begin: Timestamp,
    until: Timestamp,
) -> Vec<ScheduledLaunch> {
    let mut found = Vec::new();
    loop {
        while let Some((entry, due)) = plan.first() {
            let command =
                Command::LaunchScheduled { item: entry.item(), due, worker: due::launch(entry, due) };
            let at = due.max(now);
            if at >= begin {
                found.push(ScheduledLaunch { at, command });
            }
            plan.complete_first();
        }
        match plan.next() {
            Some(next) if next <= until => plan.collect_due(next),
            _ => return found,
        };
    }
}

fn running_now(run: &Run, past: &PastRuns, wall: impl Fn(&TimePoint) -> Timestamp) -> RunningNow {
    let launched = match &run.stage {
        Stage::Launched { at, .. } => wall(at),
        Stage::Pending { .. } | Stage::Ended { .. } => {
            past.zone().to_timestamp(Date::MIN.at(0, 0, 0, 0)).unwrap_or(Timestamp::MIN)
        }
    };
    let like = Likeness::of(&run.worker);
    let known = past.find(run.id);
    let cycle = match (known, &run.cycle) {
        (Some(known), _) => past.cycle(known.cycle).key.clone(),
        (None, Some(cycle)) => CycleKey::Label(cycle.clone()),
        (None, None) => past.day_key(None, None, launched),
    };
    let earlier = known.map_or(0, |known| {
        let of_cycle = past.cycle(known.cycle).like(known.like).iter().map(|index| past.run(*index));
        of_cycle.filter(|other| other.attempt == run.attempt && other.id < run.id).count()
    });
    RunningNow {
        run: run.id,
        key: RunKey { cycle, like, attempt: run.attempt, ordinal: earlier },
        launched,
        sent: run.sent.len() + usize::from(run.report.is_some()),
    }
}
