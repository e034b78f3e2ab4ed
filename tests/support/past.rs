//! The past of a system, lived ahead of time: the real core and the real rules on a virtual clock, and workers that end as a test says. The
//! journal is a real one.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use nowcast::config::{self, Config};
use nowcast::rules::{Engine, RuleSet};
use nowcast::store::Journal;
use nowcast::trial::clockwork::{Clockwork, Tick};
use nowcast_core::checklist::Checklist;
use nowcast_core::message::Message;
use nowcast_core::{
    Command, Cycle, CycleOption, Effect, Ending, Event, LaunchOptions, NextWorker, Record, Request,
    RequestId, RunId, State,
};
use pyyaml::Value;
use std::sync::Arc;

use super::system::System;

/// A launch of a past worker.
pub struct PastLaunch<'a> {
    pub worker: &'a NextWorker,
    pub cycle: Option<&'a Cycle>,
    pub at: &'a ZonedDateTime,
    /// How many runs the past has had before.
    pub index: usize,
    pub attempt: u32,
}

/// How a past run goes.
pub struct PastRun {
    pub after: SignedDuration,
    /// What it reports at its end: the types and the payloads, as YAML.
    pub messages: Vec<(String, String)>,
    pub ending: Ending,
}

/// A run that succeeds after so many minutes.
pub fn success_after(minutes: f64) -> PastRun {
    reports_after(minutes, "success", "~")
}

/// A run that reports this after so many minutes.
pub fn reports_after(minutes: f64, r#type: &str, payload: &str) -> PastRun {
    let messages = vec![(r#type.to_owned(), payload.to_owned())];
    PastRun { after: SignedDuration::from_secs_f64(minutes * 60.0), messages, ending: Ending::Status(0) }
}

enum Coming {
    Launch(NextWorker),
    Scheduled(usize),
    Message(RunId, String, Value),
    End(RunId, Ending),
}

/// A system whose days pass at once.
pub struct Past {
    config: Config,
    engine: Engine,
    journal: Journal,
    clockwork: Clockwork<Coming>,
    records: Vec<Record>,
    runs: usize,
}

impl Past {
    /// Begin the past of a system at a moment, such as `2026-03-01T00:00[UTC]`.
    pub fn new(system: &System, begin: &str) -> Self {
        let begin: ZonedDateTime = begin.parse().expect("a moment");
        let (config, _) = config::load(&system.config()).expect("a good configuration");
        let engine = RuleSet::of(&config).load(None).expect("good rules");
        let mut state = State::new(Arc::new(config.policy()), Checklist::default());
        state.exit_when_idle = false;
        let mut journal = Journal::open(&config.journal.folder).expect("a journal");
        journal.set_configuration(&config.text).expect("readable");
        let clockwork = Clockwork::new(state, begin);
        let mut past = Self { config, engine, journal, clockwork, records: Vec::new(), runs: 0 };
        past.plan_schedule();
        let (hash, files) = (past.engine.hash().to_owned(), past.engine.files());
        past.happens(Event::RulesLoaded { hash, files }, &mut |_| unreachable!("nothing is launched"));
        past
    }

    /// Launch a worker at a moment: `2026-03-01T06:00[UTC]`.
    pub fn launch(&mut self, at: &str, worker: &str, args: &[&str], cycle: Option<&str>) {
        let at: ZonedDateTime = at.parse().expect("a moment");
        let mut launch = NextWorker::new(worker, args.iter().map(|arg| (*arg).to_owned()).collect());
        let cycle = cycle.map(|cycle| CycleOption::Label(Cycle::parse(cycle).expect("a label")));
        launch.options = LaunchOptions { cycle, ..LaunchOptions::default() };
        self.clockwork.plan(at.timestamp(), Coming::Launch(launch));
    }

    /// Let time pass until a moment. `go` says how each run goes; `None` if it does not end.
    pub fn live(&mut self, until: &str, go: &mut dyn FnMut(PastLaunch<'_>) -> Option<PastRun>) {
        let until: ZonedDateTime = until.parse().expect("a moment");
        let user = || "the test".to_owned();
        while let Some(tick) = self.clockwork.advance(until.timestamp()) {
            let command =
                |command| Event::Command { call: None, user: user(), command, historical_checklist: None };
            let event = match tick {
                Tick::Due => Event::Due,
                Tick::Planned(Coming::Launch(worker)) => {
                    command(Command::Launch { worker, rerun_of: None, origin: None })
                }
                Tick::Planned(Coming::Scheduled(index)) => command(self.scheduled(index)),
                Tick::Planned(Coming::Message(run, r#type, payload)) => {
                    let Some(open) = self.clockwork.state.runs.get(&run) else { continue };
                    let mut message = Message::new(open.worker.name(), r#type, payload);
                    message.run = Some(run.0.to_string());
                    let body = message.encode().into_bytes();
                    Event::Request(Request { id: RequestId(0), ticket: None, body, message: Ok(message) })
                }
                Tick::Planned(Coming::End(run, ending)) => Event::RunEnded { run, ending, ended_at: None },
            };
            self.happens(event, go);
        }
        self.clockwork.set_now(until);
        self.journal.commit(&std::mem::take(&mut self.records)).expect("committed");
    }

    /// Read the configuration again, as the manager does on SIGHUP.
    pub fn reload(&mut self) {
        self.journal.commit(&std::mem::take(&mut self.records)).expect("committed");
        (self.config, _) = config::load(&self.config.file).expect("a good configuration");
        self.journal.set_configuration(&self.config.text).expect("readable");
        self.clockwork.cancel(|coming| matches!(coming, Coming::Scheduled(_)));
        self.plan_schedule();
        let policy = Arc::new(self.config.policy());
        self.happens(Event::Reloaded { policy }, &mut |_| unreachable!("nothing is launched"));
    }

    fn plan_schedule(&mut self) {
        let now = self.now();
        for (index, entry) in self.config.scheduled.iter().enumerate() {
            let first = entry.times.after(&now).expect("a time").timestamp();
            self.clockwork.plan(first, Coming::Scheduled(index));
        }
    }

    /// The running run of a worker.
    pub fn running(&self, worker: &str) -> RunId {
        let mut running = self.clockwork.state.runs.running();
        running.find(|run| run.worker.name() == worker).expect("a running run").id
    }

    /// An operator gives a command now.
    pub fn command(&mut self, command: Command) {
        let user = "the test".to_owned();
        let event = Event::Command { call: None, user, command, historical_checklist: None };
        self.happens(event, &mut |_| unreachable!("nothing is launched"));
    }

    /// The present, for a forecast.
    pub fn now(&self) -> ZonedDateTime {
        self.clockwork.now().clone()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    fn scheduled(&mut self, index: usize) -> Command {
        let entry = &self.config.scheduled[index];
        let due = self.clockwork.now().timestamp();
        let next = entry.times.after(&due.to_zoned_datetime(entry.zone.clone())).expect("a time").timestamp();
        let mut worker = NextWorker::new(entry.module.clone(), entry.args.clone());
        worker.options.cycle = entry.cycle_at(due);
        let command = Command::LaunchScheduled { item: entry.item(), due, worker };
        self.clockwork.plan(next, Coming::Scheduled(index));
        command
    }

    fn happens(&mut self, event: Event, go: &mut dyn FnMut(PastLaunch<'_>) -> Option<PastRun>) {
        let effects = self.clockwork.decide(event, &self.engine).expect("not endless");
        for effect in effects {
            match effect {
                Effect::Journal(record) => self.records.push(*record),
                Effect::Launch { run, worker, cycle, .. } => {
                    let attempt = self.clockwork.state.runs.get(&run).expect("a run").attempt;
                    let (index, cycle) = (self.runs, cycle.as_ref());
                    self.runs += 1;
                    let at = self.clockwork.now().clone();
                    let launch = PastLaunch { worker: &worker, cycle, at: &at, index, attempt };
                    let Some(PastRun { after, messages, ending }) = go(launch) else { continue };
                    let end = at.timestamp() + after;
                    for (r#type, payload) in messages {
                        let payload = pyyaml::read(&payload).expect("YAML");
                        self.clockwork.plan(end, Coming::Message(run, r#type, payload));
                    }
                    self.clockwork.plan(end, Coming::End(run, ending));
                }
                Effect::StopRun(run) => {
                    let is_of = |coming: &Coming| matches!(coming, Coming::Message(of, ..) | Coming::End(of, _) if *of == run);
                    self.clockwork.cancel(is_of);
                    self.clockwork
                        .plan(self.clockwork.now().timestamp(), Coming::End(run, Ending::Killed(15)));
                }
                _ => {}
            }
        }
    }
}

/// A moment of a time zone's clock.
pub fn moment(text: &str, zone: &TimeZone) -> Timestamp {
    text.parse::<jiff::civil::DateTime>()
        .expect("a time")
        .to_zoned_datetime(zone.clone())
        .expect("a moment")
        .timestamp()
}
