//! [`Scene`]: the state of one test: the core with the real rules, a clock that the test sets, and workers that end as
//! the test specifies.
//!
//! This module never waits, and never launches anything.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::config::Config;
use crate::rules::Engine;
use crate::trial::clockwork::{Clockwork, MOST_EVENTS, Tick, TooManyEvents};
use crate::trial::show;
use error_text::did_you_mean;
use nowcast_core::RegisteredWorker;
use nowcast_core::checklist::Checklist;
use nowcast_core::cycles::NoteScope;
use nowcast_core::message::Message;
use nowcast_core::record::RecordedEvent;
use nowcast_core::run::Stage;
use nowcast_core::{
    Change, Command, Effect, Ending, Event, JoinRequest, NextWorker, Record, Request, RequestId,
    RuleCallResult, RuleInput, Rules, RunId, State,
};
use pyyaml::{Map, Value};

/// The number of launches that the error about too many events shows.
const LAST_SHOWN: usize = 5;

/// The message types that tests have sent, with their workers.
pub type Sent = Rc<RefCell<std::collections::BTreeSet<(String, String)>>>;

/// The result of the last message.
#[derive(Debug, Default)]
pub struct SceneOutcome {
    /// The worker and the message type.
    pub message: (String, String),
    /// The reason why its rule failed.
    pub error: Option<String>,
    /// The launches, now or at a later time, without those that wait in a join.
    pub launches: Vec<NextWorker>,
    /// The join that its rule opened.
    pub join: Option<JoinRequest>,
    /// The lines that were logged.
    pub log: Vec<String>,
    /// The place of the rule.
    pub place: Option<String>,
    /// The lines that the rule itself logged.
    pub rule_log: Vec<String>,
}

/// A run that began.
#[derive(Debug, Clone)]
pub struct Began {
    /// Its number.
    pub run: RunId,
    /// The worker.
    pub worker: NextWorker,
    /// The time.
    pub at: ZonedDateTime,
}

/// The ending of a run.
#[derive(Debug, Clone)]
pub struct HowItEnds {
    /// The duration of the run.
    pub after: SignedDuration,
    /// The message type that it reports; `None` if it exits without a report.
    pub r#type: Option<String>,
    /// The payload that it reports.
    pub payload: Value,
    /// Its exit status.
    pub status: i32,
}

/// A scheduled event.
#[derive(Debug)]
enum Coming {
    Launch(NextWorker),
    End(RunId, String, HowItEnds),
    Killed(RunId),
}

/// A test's world.
pub struct Scene {
    clockwork: Clockwork<Coming>,
    rules: SceneRecorder,
    /// The runs that began since the last query.
    pub began: Vec<Began>,
    /// All runs that began in the test, or in its last day.
    pub ran: Vec<Began>,
    /// The errors of rules and the reasons of parked items in the test, or in its last day.
    pub errors: Vec<String>,
    /// The last message's outcome.
    pub last: SceneOutcome,
}

/// The engine, and the details of its last call.
struct SceneRecorder {
    engine: Rc<Engine>,
    join: RefCell<Option<JoinRequest>>,
    place: RefCell<Option<String>>,
    log: RefCell<Vec<String>>,
    config: RefCell<Option<Value>>,
    sent: Sent,
}

impl Rules for SceneRecorder {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        let changed = self.config.borrow().clone();
        let call =
            self.engine.call_after(&RuleInput { config: changed.as_ref().unwrap_or(input.config), ..*input });
        *self.join.borrow_mut() = call.result.as_ref().ok().and_then(|answer| answer.join.clone());
        self.place.borrow_mut().clone_from(&call.location);
        *self.log.borrow_mut() =
            call.log.iter().map(|line| format!("{} {}", line.level, line.text)).collect();
        self.sent.borrow_mut().insert((input.message.source.clone(), input.message.r#type.clone()));
        call
    }
}

impl Scene {
    /// Return a scene with an empty checklist at a moment; nothing runs.
    #[must_use]
    pub fn new(config: &Arc<Config>, engine: &Rc<Engine>, now: ZonedDateTime, sent: &Sent) -> Self {
        Self {
            clockwork: Clockwork::new(State::new(Arc::new(config.policy()), Checklist::default()), now),
            rules: SceneRecorder {
                engine: Rc::clone(engine),
                join: RefCell::default(),
                place: RefCell::default(),
                log: RefCell::default(),
                config: RefCell::default(),
                sent: Rc::clone(sent),
            },
            began: Vec::new(),
            ran: Vec::new(),
            errors: Vec::new(),
            last: SceneOutcome::default(),
        }
    }

    /// Return the current time.
    #[must_use]
    pub fn now(&self) -> &ZonedDateTime {
        self.clockwork.now()
    }

    /// Set the clock, without handling what is due by then.
    pub fn set_now(&mut self, now: ZonedDateTime) {
        self.clockwork.set_now(now);
    }

    /// Return the checklist.
    #[must_use]
    pub fn checklist(&self) -> Value {
        self.clockwork.state.checklist.to_value()
    }

    /// Replace the checklist.
    pub fn set_checklist(&mut self, checklist: Map) {
        self.clockwork.state.checklist = Checklist::new(checklist);
    }

    /// Return the configuration as rules see it.
    #[must_use]
    pub fn config(&self) -> Value {
        self.rules.config.borrow().clone().unwrap_or_else(|| self.clockwork.state.policy.config.clone())
    }

    /// Replace the configuration that rules see.
    pub fn set_config(&mut self, config: Value) {
        *self.rules.config.borrow_mut() = Some(config);
    }

    /// Handle the message of a worker.
    ///
    /// # Errors
    /// When the message registry lacks it, or there are too many events.
    pub fn message(&mut self, message: Message) -> Result<(), String> {
        self.is_registered(&message.source, &message.r#type)?;
        self.report(message)
    }

    fn report(&mut self, message: Message) -> Result<(), String> {
        // A type counts even if it does not reach its rule, such as a crash that is retried.
        self.rules.sent.borrow_mut().insert((message.source.clone(), message.r#type.clone()));
        self.last = SceneOutcome {
            message: (message.source.clone(), message.r#type.clone()),
            ..SceneOutcome::default()
        };
        let request = RequestId(0);
        let body = message.encode().into_bytes();
        self.happens(Event::Request(Request { id: request, ticket: None, body, message: Ok(message) }))
    }

    /// Return a worker of the message registry.
    ///
    /// # Errors
    /// When the message registry lacks it.
    pub fn is_worker(&self, worker: &str) -> Result<&RegisteredWorker, String> {
        let workers = &self.clockwork.state.policy.registered;
        workers.get(worker).ok_or_else(|| {
            format!(
                "{worker} is not in the message registry{}; the workers there are: {}",
                did_you_mean(worker, workers.keys()),
                names(workers.keys())
            )
        })
    }

    /// Check that a worker may send messages of this type.
    fn is_registered(&self, source: &str, r#type: &str) -> Result<(), String> {
        let types = &self.is_worker(source)?.messages;
        if types.contains_key(r#type) {
            return Ok(());
        }
        Err(format!(
            "{source} has no message type {type:?} in the message registry{}; its types are: {}",
            did_you_mean(r#type, types.keys()),
            names(types.keys())
        ))
    }

    /// Decide an event, and apply the effects that concern this scene.
    fn happens(&mut self, event: Event) -> Result<(), String> {
        self.rules.join.take();
        self.rules.place.take();
        self.rules.log.take();
        let effects = self.clockwork.decide(event, &self.rules).map_err(|TooManyEvents| self.endless())?;
        for effect in effects {
            match effect {
                Effect::Log(line) => self.last.log.push(line.text),
                Effect::Journal(record) => self.note(&record),
                Effect::Launch { run, worker, .. } => {
                    if let Err(why) = self.is_worker(worker.name()) {
                        self.errors.push(why);
                    }
                    let began = Began { run, worker, at: self.now().clone() };
                    self.began.push(began.clone());
                    self.ran.push(began);
                }
                Effect::StopRun(run) => {
                    self.clockwork.cancel(|coming| matches!(coming, Coming::End(of, ..) if *of == run));
                    self.clockwork.plan(self.now().timestamp(), Coming::Killed(run));
                }
                _ => {}
            }
        }
        self.last.join = self.rules.join.take();
        self.last.place = self.rules.place.take();
        self.last.rule_log = self.rules.log.take();
        Ok(())
    }

    /// Return the error about rules that launch one another endlessly.
    fn endless(&self) -> String {
        let last = self.ran.iter().rev().take(LAST_SHOWN).map(|began| show::launch(&began.worker));
        let last: Vec<String> = last.collect::<Vec<_>>().into_iter().rev().collect();
        format!(
            "more than {MOST_EVENTS} events: do rules launch one another without end? At {} the last launches were: {}",
            self.now().strftime("%Y-%m-%d %H:%M:%S"),
            last.join(", ")
        )
    }

    fn note(&mut self, record: &Record) {
        let mut launches = Vec::new();
        for change in &record.changes {
            match change {
                // Numbers are assigned in order, so a higher one was assigned by this event.
                Change::Run(run) if run.id > record.number && run.retry_of.is_none() => launches.push(run),
                Change::Parked(parked) => self.errors.push(parked.reason.clone()),
                _ => {}
            }
        }
        launches.sort_by_key(|run| run.id);
        self.last.launches.extend(launches.into_iter().map(|run| run.worker.clone()));
        if let RecordedEvent::Message(message) = &record.event
            && let nowcast_core::record::Outcome::RuleFailed(why)
            | nowcast_core::record::Outcome::NoFunction(why) = &message.outcome
        {
            self.last.error = Some(why.clone());
            if matches!(message.outcome, nowcast_core::record::Outcome::NoFunction(_)) {
                self.errors.push(why.clone());
            }
        }
    }

    /// Begin a day, without the previous runs and errors.
    pub fn begin_day(&mut self) {
        self.errors.clear();
        self.ran.clear();
    }

    /// Launch a worker at a moment, as an operator would.
    pub fn start(&mut self, worker: NextWorker, at: Timestamp) {
        self.clockwork.plan(at, Coming::Launch(worker));
    }

    /// Set the ending of a run that began.
    ///
    /// # Errors
    /// When the message registry lacks the message that it reports.
    pub fn ends(&mut self, run: RunId, worker: &str, how: HowItEnds) -> Result<(), String> {
        if let Some(r#type) = &how.r#type {
            self.is_registered(worker, r#type)?;
        }
        let at = self.now().timestamp().checked_add(how.after).unwrap_or(Timestamp::MAX);
        self.clockwork.plan(at, Coming::End(run, worker.to_owned(), how));
        Ok(())
    }

    /// Proceed to the next event; return `false` if there is none until a moment.
    ///
    /// # Errors
    /// When there are too many events.
    pub fn go_on(&mut self, until: Timestamp) -> Result<bool, String> {
        let coming = match self.clockwork.advance(until) {
            None => return Ok(false),
            Some(Tick::Due) => {
                self.happens(Event::Due)?;
                return Ok(true);
            }
            Some(Tick::Planned(coming)) => coming,
        };
        match coming {
            Coming::Launch(worker) => {
                let command = Command::Launch { worker, rerun_of: None, origin: None };
                let user = "the test".to_owned();
                self.happens(Event::Command { call: None, user, command, historical_checklist: None })?;
            }
            Coming::Killed(run) => {
                self.happens(Event::RunEnded { run, ending: Ending::Killed(15), ended_at: None })?;
            }
            Coming::End(run, worker, how) => {
                if let Some(r#type) = how.r#type {
                    let mut message = Message::new(worker, r#type, how.payload);
                    message.run = Some(run.0.to_string());
                    self.report(message)?;
                }
                self.happens(Event::RunEnded { run, ending: Ending::Status(how.status), ended_at: None })?;
            }
        }
        Ok(true)
    }

    /// Return the message types that a worker may report.
    #[must_use]
    pub fn types_of(&self, worker: &str) -> Vec<String> {
        self.clockwork
            .state
            .policy
            .registered
            .get(worker)
            .map_or_else(Vec::new, |worker| worker.messages.keys().cloned().collect())
    }

    /// Return the open joins and the pending launches, for a person.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let joins = self.clockwork.state.joins.open().map(|join| {
            let scope = match join.identity.as_ref().map(|identity| &identity.scope) {
                Some(NoteScope::Cycle(cycle)) => format!(" in cycle {cycle}"),
                Some(NoteScope::Since(moment)) => format!(" since {moment}"),
                None => String::new(),
            };
            let needs = format!("the join of {}{scope} needs {}", join.name, join.requirements());
            match join.launches().len() {
                0 => needs,
                count => format!("{needs}, and {count} launches wait in it"),
            }
        });
        let runs =
            self.clockwork.state.runs.values().filter(|run| matches!(run.stage, Stage::Pending { .. }));
        let runs = runs.map(|run| format!("{} waits to be launched", show::launch(&run.worker)));
        joins.chain(runs).collect()
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}
