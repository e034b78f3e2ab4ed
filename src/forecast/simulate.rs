//! [`Simulation`]: one future after the other, with the real core and the real rules, a virtual clock, and runs that go as past ones did.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::chance::Choice;
use super::dates;
use super::draw::{Draw, Odds, RunKey, RunOutcome, RunToDraw};
use super::history::{CycleKey, PastRun, SentMessage, SentMessages};
use super::like::{LikeId, Likeness};
use super::start::{ForecastError, Start};
use super::what_if::WhatIf;
use crate::rules::Engine;
use crate::trial::clockwork::{Clockwork, Tick};
use nowcast_core::hold::{Hold, HoldTarget};
use nowcast_core::message::Message;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent};
use nowcast_core::run::{Stage, is_failure};
use nowcast_core::{
    Change, Effect, Ending, Event, NextWorker, Number, Record, Request, RequestId, Run, RunId, State,
};
use pyyaml::Value;

/// Bytes of moved payloads that are kept. The same past runs are drawn again and again.
const MOST_MOVED: usize = 64 << 20;

/// The user of simulated commands.
const USER: &str = "scheduler";

/// The operator of holds that are supposed.
const SUPPOSED: &str = "forecast";

/// The signal by which a stopped run ends.
const SIGTERM: i32 = 15;

/// A simulated future.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The runs that were open when it began, and those that were launched in it, in the order of their launch. Those that were not
    /// launched until its end are last.
    pub runs: Vec<TracedRun>,
    /// For each deadline, its message.
    pub met: Vec<Option<Met>>,
    /// The messages whose rule failed, with the reason. What would follow them is unknown.
    pub failed_rules: Vec<(String, String)>,
    /// Whether it has more events than are simulated, so that it ends early.
    pub is_endless: bool,
}

/// A simulated future with the choices that led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The future.
    pub trace: Trace,
    /// The choices in their order, each with what was picked.
    pub chosen: Vec<(Choice, usize)>,
}

/// A run of a simulated future.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedRun {
    /// What identifies it.
    pub key: RunKey,
    /// Its launch.
    pub worker: NextWorker,
    /// Its number, if it was open when the forecast began.
    pub number: Option<RunId>,
    /// When it was launched; `None` if it was not.
    pub begun: Option<Timestamp>,
    /// How it ended.
    pub end: TracedEnd,
    /// The type of its last message.
    pub reported: Option<String>,
    /// The run whose message or end launched it, by its position.
    pub decided_by: Option<usize>,
    /// What kept it from being launched at the end.
    pub blocked_by: Option<String>,
}

/// The end of a run in a simulated future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TracedEnd {
    /// It ended then.
    At(Timestamp),
    /// Not until the end of the simulation.
    Later,
    /// It runs longer than each past one.
    LongerThanEver,
    /// No past run is like it.
    NoHistory,
}

/// The expected message of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// When it came.
    pub at: Timestamp,
    /// The run that sent it, by its position.
    pub run: Option<usize>,
}

impl Trace {
    /// Return whether something is unknown that more launches and messages could follow.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.is_endless
            || !self.failed_rules.is_empty()
            || self.runs.iter().any(|run| run.end == TracedEnd::NoHistory)
    }
}

/// What is planned in a simulated future.
#[derive(Debug)]
enum Planned {
    /// The launch of the schedule with this index.
    Scheduled(usize),
    /// A run sends this.
    Message(RunId, Arc<str>, Value),
    /// A run ends.
    End(RunId, Ending),
}

impl Planned {
    fn is_of(&self, run: RunId) -> bool {
        matches!(self, Self::Message(of, ..) | Self::End(of, _) if *of == run)
    }
}

/// Simulates futures, one after the other, in one thread.
pub struct Simulation<'a> {
    start: &'a Start,
    odds: &'a Odds<'a>,
    what_if: &'a WhatIf,
    engine: &'a Engine,
    sent: SentMessages,
    /// What past runs sent, with dates moved by so many days.
    moved: HashMap<(RunId, i32), Arc<[SentMessage]>>,
    moved_bytes: usize,
}

impl<'a> Simulation<'a> {
    /// Return a simulation.
    #[must_use]
    pub fn new(
        start: &'a Start,
        odds: &'a Odds<'a>,
        what_if: &'a WhatIf,
        engine: &'a Engine,
        sent: SentMessages,
    ) -> Self {
        Self { start, odds, what_if, engine, sent, moved: HashMap::new(), moved_bytes: 0 }
    }

    /// Simulate the future of a draw. `is_over` says whether there is no time left; then there is none.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn run(&mut self, draw: u32, is_over: &dyn Fn() -> bool) -> Result<Option<Simulated>, ForecastError> {
        let start = self.start;
        let mut state = start.state.clone();
        hold(&mut state, self.what_if);
        let mut future = Future {
            clockwork: Clockwork::new(state, start.begin.clone()),
            draw: self.odds.draw(draw),
            trace: Trace { met: vec![None; start.deadlines.len()], ..Trace::default() },
            positions: BTreeMap::new(),
            senders: BTreeMap::new(),
            begun: BTreeMap::new(),
            launched: Vec::new(),
            simulation: self,
        };
        future.begin()?;
        let ended = future.go_on(is_over)?;
        future.finish();
        Ok(ended.then(|| Simulated { trace: future.trace, chosen: future.draw.into_chosen() }))
    }

    /// What a past run sent, with its dates moved by days.
    fn sent_by(&mut self, run: &PastRun, days: i32) -> Result<Arc<[SentMessage]>, ForecastError> {
        if let Some(known) = self.moved.get(&(run.id, days)) {
            return Ok(known.clone());
        }
        // Only runs whose messages are known are drawn.
        let sent = self.sent.of(run)?.unwrap_or_default();
        let moved: Arc<[SentMessage]> = sent
            .iter()
            .map(|sent| SentMessage { payload: dates::moved(&sent.payload, days), ..sent.clone() })
            .collect();
        self.moved_bytes += moved.iter().map(|message| message.payload.memory_size()).sum::<usize>();
        if self.moved_bytes > MOST_MOVED {
            (self.moved, self.moved_bytes) = (HashMap::new(), 0);
        }
        self.moved.insert((run.id, days), moved.clone());
        Ok(moved)
    }

    /// The message type with which the runs of a worker fail, if that is supposed.
    fn failure_of(&self, worker: &str) -> Option<String> {
        let failure = self.what_if.fail.iter().find(|failure| failure.worker == worker)?;
        let registered = self.start.state.policy.registered.get(worker);
        let first = || registered?.messages.keys().find(|r#type| r#type.starts_with("failure")).cloned();
        Some(failure.r#type.clone().or_else(first).unwrap_or_else(|| "crash".to_owned()))
    }
}

/// Hold the launches on the hosts that are supposed.
fn hold(state: &mut State, what_if: &WhatIf) {
    for host in &what_if.hold {
        state.last_number += 1;
        let (id, target, user) =
            (Number(state.last_number), HoldTarget::Host(host.clone()), SUPPOSED.to_owned());
        let hold = Hold { id, target, until: None, ends: None, reason: None, user };
        state.apply(&Change::Hold(hold), &Value::Null);
    }
}

/// One simulated future.
struct Future<'a, 'b> {
    simulation: &'b mut Simulation<'a>,
    clockwork: Clockwork<Planned>,
    draw: Draw<'a, 'a>,
    trace: Trace,
    /// The positions of runs in the trace.
    positions: BTreeMap<RunId, usize>,
    /// The positions of the runs that sent messages.
    senders: BTreeMap<Number, usize>,
    /// For each kind of run of a cycle, how many attempts of that number there were, and when the first one was launched.
    begun: BTreeMap<(CycleKey, Likeness, u32), (usize, Timestamp)>,
    /// The runs that the record in progress launches.
    launched: Vec<(RunId, NextWorker)>,
}

impl Future<'_, '_> {
    fn begin(&mut self) -> Result<(), ForecastError> {
        let start = self.simulation.start;
        self.clockwork.allow_launches(start.schedule.len());
        for (index, launch) in start.schedule.iter().enumerate() {
            self.clockwork.plan(launch.at, Planned::Scheduled(index));
        }
        for running in &start.running {
            let Some(run) = start.state.runs.get(&running.run) else { continue };
            let worker = run.worker.clone();
            let position = self.add_run(running.key.clone(), worker, Some(running.launched));
            self.trace.runs[position].number = Some(running.run);
            self.trace.runs[position].reported = run.report.as_ref().map(|report| report.r#type.clone());
            self.positions.insert(running.run, position);
            if run.stop_requested.is_some() {
                self.clockwork
                    .plan(start.begin.timestamp(), Planned::End(running.run, Ending::Killed(SIGTERM)));
                continue;
            }
            let is_running = Some((start.begin.timestamp(), running.sent));
            self.plan_end(running.run, position, running.launched, is_running)?;
        }
        self.happens(Event::Due)
    }

    /// Let everything happen until the end. Return false if there is no time left.
    fn go_on(&mut self, is_over: &dyn Fn() -> bool) -> Result<bool, ForecastError> {
        while !self.trace.is_endless {
            if is_over() {
                return Ok(false);
            }
            match self.clockwork.advance(self.simulation.start.until) {
                None => break,
                Some(Tick::Due) => self.happens(Event::Due)?,
                Some(Tick::Planned(Planned::Scheduled(index))) => {
                    let command = self.simulation.start.schedule[index].command.clone();
                    let user = USER.to_owned();
                    self.happens(Event::Command { call: None, user, command, historical_checklist: None })?;
                }
                Some(Tick::Planned(Planned::Message(run, r#type, payload))) => {
                    self.message(run, &r#type, payload)?;
                }
                Some(Tick::Planned(Planned::End(run, ending))) => self.ended(run, ending)?,
            }
        }
        Ok(true)
    }

    fn message(&mut self, run: RunId, r#type: &str, payload: Value) -> Result<(), ForecastError> {
        let Some(open) = self.clockwork.state.runs.get(&run) else { return Ok(()) };
        let mut message = Message::new(open.worker.name(), r#type, payload);
        message.run = Some(run.0.to_string());
        // The bytes are only for the journal.
        let request = Request { id: RequestId(0), ticket: None, body: Vec::new(), message: Ok(message) };
        self.happens(Event::Request(request))
    }

    fn ended(&mut self, run: RunId, ending: Ending) -> Result<(), ForecastError> {
        if let Some(position) = self.positions.get(&run) {
            self.trace.runs[*position].end = TracedEnd::At(self.clockwork.now().timestamp());
        }
        self.happens(Event::RunEnded { run, ending, ended_at: None })
    }

    /// Decide an event, and follow its effects.
    fn happens(&mut self, event: Event) -> Result<(), ForecastError> {
        let Ok(effects) = self.clockwork.decide(event, self.simulation.engine) else {
            self.trace.is_endless = true;
            return Ok(());
        };
        for effect in effects {
            match effect {
                Effect::Launch { run, worker, .. } => self.launched.push((run, worker)),
                Effect::StopRun(run) => {
                    self.clockwork.cancel(|planned| planned.is_of(run));
                    let now = self.clockwork.now().timestamp();
                    self.clockwork.plan(now, Planned::End(run, Ending::Killed(SIGTERM)));
                }
                Effect::Journal(record) => self.recorded(&record)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Follow a record, and the launches that were decided in it.
    fn recorded(&mut self, record: &Record) -> Result<(), ForecastError> {
        let decided_by = match &record.event {
            RecordedEvent::Message(message) => self.sent(record.number, message),
            RecordedEvent::RunEnded { run } => self.positions.get(run).copied(),
            _ => None,
        };
        for (run, worker) in std::mem::take(&mut self.launched) {
            self.launch(run, worker, decided_by)?;
        }
        Ok(())
    }

    /// Note what a message means for the forecast; return the position of the run that sent it.
    fn sent(&mut self, number: Number, record: &MessageRecord) -> Option<usize> {
        let run = record.run.and_then(|run| self.positions.get(&run)).copied();
        if let Some(run) = run {
            self.senders.insert(number, run);
        }
        let message = record.message.as_ref()?;
        if let Some(run) = run {
            self.trace.runs[run].reported = Some(message.r#type.clone());
        }
        if let Outcome::RuleFailed(reason) | Outcome::NoFunction(reason) = &record.outcome {
            let subject = format!("{}: ({})", message.source, message.r#type);
            self.trace.failed_rules.push((subject, reason.clone()));
        }
        if record.outcome.is_for_a_rule() {
            let at = self.clockwork.now().timestamp();
            for (deadline, met) in self.simulation.start.deadlines.iter().zip(&mut self.trace.met) {
                if met.is_none() && deadline.is_met_by(message, at) {
                    *met = Some(Met { at, run });
                }
            }
        }
        run
    }

    fn launch(
        &mut self,
        id: RunId,
        worker: NextWorker,
        decided_by: Option<usize>,
    ) -> Result<(), ForecastError> {
        let Some(run) = self.clockwork.state.runs.get(&id) else { return Ok(()) };
        let launched = self.clockwork.now().timestamp();
        let number = self.simulation.start.state.runs.get(&id).map(|run| run.id);
        let key = self.key(&run.clone(), launched);
        let decided_by =
            decided_by.or_else(|| self.senders.get(&self.clockwork.state.runs.get(&id)?.cause).copied());
        let position = self.add_run(key, worker, Some(launched));
        self.positions.insert(id, position);
        let traced = &mut self.trace.runs[position];
        (traced.number, traced.decided_by) = (number, decided_by);
        self.plan_end(id, position, launched, None)
    }

    fn add_run(&mut self, key: RunKey, worker: NextWorker, begun: Option<Timestamp>) -> usize {
        let (end, reported, decided_by, blocked_by) = (TracedEnd::Later, None, None, None);
        let number = None;
        self.trace.runs.push(TracedRun { key, worker, number, begun, end, reported, decided_by, blocked_by });
        self.trace.runs.len() - 1
    }

    /// What identifies a run that is launched at a moment.
    fn key(&mut self, run: &Run, launched: Timestamp) -> RunKey {
        let past = self.simulation.odds.past();
        let like = Likeness::of(&run.worker);
        let id = past.likenesses().find(&like);
        let cycle = match &run.cycle {
            Some(cycle) => CycleKey::Label(cycle.clone()),
            None => self.day(run, &like, id, launched),
        };
        let known = past.find_cycle(&cycle).zip(id).map(|(cycle, id)| cycle.like(id));
        let known = known.unwrap_or_default().iter().map(|index| past.run(*index));
        let of_attempt = (cycle.clone(), like.clone(), run.attempt);
        let (count, _) = self
            .begun
            .entry(of_attempt)
            .or_insert_with(|| (known.filter(|other| other.attempt == run.attempt).count(), launched));
        let ordinal = *count;
        *count += 1;
        RunKey { cycle, like, attempt: run.attempt, ordinal }
    }

    /// The day of a run without a cycle.
    fn day(&self, run: &Run, like: &Likeness, id: Option<LikeId>, launched: Timestamp) -> CycleKey {
        let past = self.simulation.odds.past();
        let simulated = self.senders.get(&run.cause).map(|position| &self.trace.runs[*position].key.cycle);
        let of_cause =
            simulated.or_else(|| past.sender(run.cause).map(|sender| &past.cycle(sender.cycle).key));
        let first = of_cause.and_then(|key| {
            let known = past.find_cycle(key).zip(id).and_then(|(cycle, id)| cycle.like(id).first());
            let known = known.map(|first| past.run(*first).launched);
            known.or_else(|| self.begun.get(&(key.clone(), like.clone(), 1)).map(|(_, first)| *first))
        });
        past.day_key(of_cause, first, launched)
    }

    /// Draw the outcome of a run, and plan it. For one that runs when the forecast begins, that moment and the number of messages that
    /// it has sent are given.
    fn plan_end(
        &mut self,
        run: RunId,
        position: usize,
        launched: Timestamp,
        running: Option<(Timestamp, usize)>,
    ) -> Result<(), ForecastError> {
        let traced = &self.trace.runs[position];
        let (key, worker) = (traced.key.clone(), traced.worker.clone());
        let failure = self.simulation.failure_of(worker.name());
        let ran_until = running.map(|(until, _)| until);
        let drawn = RunToDraw { key: &key, launched, ran_until, preferred: failure.as_deref() };
        let sent = &mut self.simulation.sent;
        let outcome = self.draw.outcome(drawn, |run| sent.of(run).map(|sent| sent.is_some()))?;
        let (past_run, end, ending) = match outcome {
            RunOutcome::As(past_run, end, ending) => (past_run, end, ending),
            RunOutcome::LongerThanEver => {
                self.trace.runs[position].end = TracedEnd::LongerThanEver;
                return Ok(());
            }
            RunOutcome::NoHistory => {
                self.trace.runs[position].end = TracedEnd::NoHistory;
                return Ok(());
            }
        };
        let slowness = self.simulation.what_if.slower.iter().find(|slower| slower.worker == worker.name());
        let end = slowness.map_or(end, |slower| {
            let duration = slower.by.of(end.duration_since(launched));
            launched.checked_add(duration).unwrap_or(Timestamp::MAX)
        });
        // A factor may make it end in the past.
        let earliest = ran_until.unwrap_or(launched);
        let end = end.max(earliest);
        let past = self.simulation.odds.past();
        let days = past_run.dates.days_until(&past.dates(&worker, &key.cycle, launched));
        let messages = self.simulation.sent_by(past_run, days)?;
        let fails_itself = failure
            .as_deref()
            .is_some_and(|failure| !messages.iter().any(|message| *message.r#type == *failure));
        if let Some(failure) = failure.filter(|_| fails_itself) {
            // The core reports a crash for a run that ends without a report.
            if failure != "crash" {
                self.clockwork.plan(end, Planned::Message(run, failure.into(), Value::Null));
            }
            self.clockwork.plan(end, Planned::End(run, Ending::Status(1)));
            return Ok(());
        }
        for message in messages.iter().skip(running.map_or(0, |(_, sent)| sent)) {
            let before_end = past_run.end.after() - message.after;
            let at = end.checked_sub(before_end).unwrap_or(earliest).max(earliest);
            self.clockwork.plan(at, Planned::Message(run, message.r#type.clone(), message.payload.clone()));
        }
        self.clockwork.plan(end, Planned::End(run, ending));
        Ok(())
    }

    /// Add the runs that were not launched.
    fn finish(&mut self) {
        let pending: Vec<Run> = self
            .clockwork
            .state
            .runs
            .values()
            .filter(|run| matches!(run.stage, Stage::Pending { .. }))
            .cloned()
            .collect();
        for run in pending {
            let blocked_by = self.clockwork.state.blocked_by(&run);
            let present = self.clockwork.state.now(&self.clockwork.now().clone().into());
            let due = run.due(present).map_or(present.wall, |due| present.wall_at(due));
            let key = self.key(&run, due);
            let position = self.add_run(key, run.worker.clone(), None);
            let traced = &mut self.trace.runs[position];
            traced.number = self.simulation.start.state.runs.get(&run.id).map(|run| run.id);
            traced.decided_by = self.senders.get(&run.cause).copied();
            traced.blocked_by = blocked_by;
        }
    }
}

/// Return whether a run of a simulated future failed.
#[must_use]
pub fn has_failed(run: &TracedRun) -> bool {
    run.reported.as_deref().is_some_and(is_failure)
}
