//! A system that the targets share: its configuration, its rules in real Lua, and what is open in it.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use jiff::{SignedDuration, ZonedDateTime};
use nowcast::config;
use nowcast::rules::{CallLimits, Engine, EngineOptions};
use nowcast_core::checklist::Checklist;
use nowcast_core::hold::HoldTarget;
use nowcast_core::message::Message;
use nowcast_core::record::RecordedEvent;
use nowcast_core::{
    BootId, BootTime, Command, DecisionTime, Effect, Ending, Event, NextWorker, Policy, Record, Request,
    RequestId, RuleFile, State, TimePoint, decide,
};
use pyyaml::Value;

const CONFIG: &str = include_str!("system/nowcast.yaml");
const RULES: &str = include_str!("system/next_workers.lua");

thread_local! {
    static SYSTEM: System = System::begin();
    static ENGINE: Rc<Engine> = Rc::new(engine(RULES).expect("the rules of the targets load"));
}

/// When the system's day begins.
pub fn begin() -> ZonedDateTime {
    "2026-03-14T04:00:00-07:00[America/Vancouver]".parse().expect("a moment")
}

/// The rules of the system.
pub fn rules() -> Rc<Engine> {
    ENGINE.with(Rc::clone)
}

/// Load rules with limits that an input reaches soon.
pub fn engine(text: &str) -> Result<Engine, nowcast::rules::RulesLoadError> {
    let limits = CallLimits {
        // The instructions are reached first, on any machine.
        time: std::time::Duration::from_secs(20),
        instructions: 200_000,
        memory: 24 << 20,
        text: 1 << 20,
        log_lines: 20,
        log_bytes: 10_000,
    };
    let file = RuleFile { name: "next_workers.lua".to_owned(), text: text.to_owned() };
    let options = EngineOptions { limits, package: None, ..EngineOptions::default() };
    Engine::of_files(&[file], "next_workers", &options)
}

/// A manager without a world: its state, and what the journal's records make of the same beginning.
#[derive(Clone)]
pub struct System {
    state: State,
    folded: State,
    now: ZonedDateTime,
    requests: u64,
    /// What the journal has.
    pub records: Vec<Record>,
}

/// The effects of an event that a sender or the journal waits for.
#[derive(Default)]
pub struct Outcome {
    pub replies: Vec<Message>,
    pub answers: Vec<nowcast_core::Answer>,
    pub records: Vec<Record>,
}

impl System {
    /// The system in the middle of its day: runs, a join, a hold, and parked messages and launches.
    pub fn in_use() -> Self {
        SYSTEM.with(Clone::clone)
    }

    fn begin() -> Self {
        let file = Path::new("nowcast.yaml");
        let (config, _) = config::parse(file, CONFIG.as_bytes(), &config::defaults::with_defaults(file))
            .expect("a good one");
        let mut state = State::new(config.policy().into(), Checklist::default());
        state.clock.reading = state.clock.next_reading(&time_of(&begin()));
        let mut system =
            Self { folded: state.clone(), state, now: begin(), requests: 0, records: Vec::new() };
        system.load_rules();
        for (source, payload) in [
            ("weather", "{rule: launch}"),
            ("rivers", "{rule: join}"),
            ("weather", "{rule: join}"),
            ("ssh", "{rule: fail, 2026-03-14: [1, 2.5, !!set {a}]}"),
            ("ssh", "{rule: later}"),
        ] {
            let payload = pyyaml::read(payload).expect("YAML");
            system.receive(Message::new(source, "success", payload).encode().as_bytes());
        }
        system.operate();
        system
    }

    fn load_rules(&mut self) {
        let files = vec![RuleFile { name: "next_workers.lua".to_owned(), text: RULES.to_owned() }];
        self.decide(Event::RulesLoaded { hash: rules().hash().to_owned(), files });
        self.decide(Event::RulesRefused { reason: "next_workers.lua:3: no".to_owned() });
    }

    /// What operators, the scheduler and the end of a run add.
    fn operate(&mut self) {
        let worker = NextWorker::new("upload", Vec::new());
        for command in [
            Command::Hold {
                target: HoldTarget::Worker("upload".to_owned()),
                until: None,
                duration: Some(SignedDuration::from_hours(1)),
                reason: Some("maintenance".to_owned()),
            },
            Command::LaunchScheduled { item: "upload".to_owned(), due: begin().timestamp(), worker },
            Command::ChecklistSet { path: "[a, 1]".to_owned(), value: "{b: 2026-03-14}".to_owned() },
        ] {
            let (call, user) = (None, "ana".to_owned());
            self.decide(Event::Command { call, user, command, historical_checklist: None });
        }
        let running = self.state.runs.running().next().map(|run| run.id);
        if let Some(run) = running {
            self.decide(Event::RunEnded { run, ending: Ending::Status(1), ended_at: None });
        }
        self.pass(60);
    }

    /// The policy of the system's configuration.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.state.policy)
    }

    /// Continue with a state that a journal has.
    pub fn resume(state: State) -> Self {
        Self { folded: state.clone(), state, now: begin(), requests: 0, records: Vec::new() }
    }

    fn time(&self) -> DecisionTime {
        time_of(&self.now)
    }

    /// Time passes, and what is due is decided. Times beyond the calendar do not come.
    pub fn pass(&mut self, seconds: u32) {
        let passed = SignedDuration::from_secs(seconds.into());
        let Ok(now) = self.now.checked_add(passed) else { return };
        self.now = now;
        self.decide(Event::Due);
        let now = self.state.now(&self.time());
        let due = self.state.next_due(TimePoint { wall: now.time.wall, steady: now.time.steady }, now);
        assert!(due.is_none_or(|due| due > now.time.steady), "the manager would turn in circles at {due:?}");
    }

    /// A worker's request comes.
    pub fn receive(&mut self, body: &[u8]) {
        self.requests += 1;
        let id = RequestId(self.requests);
        let request = Request { id, ticket: None, body: body.to_vec(), message: Message::decode(body) };
        let outcome = self.decide(Event::Request(request));
        assert_eq!(outcome.replies.len(), 1, "every request gets one reply");
        let is_message = |record: &&Record| matches!(record.event, RecordedEvent::Message(_));
        assert_eq!(outcome.records.iter().filter(is_message).count(), 1, "every request is recorded once");
    }

    pub fn decide(&mut self, event: Event) -> Outcome {
        let mut outcome = Outcome::default();
        let time = self.time();
        for effect in decide(&mut self.state, event, &*rules(), &time) {
            match effect {
                Effect::Reply { message, .. } => outcome.replies.push(message),
                Effect::Answer { answer, .. } => outcome.answers.push(answer),
                Effect::Journal(record) => outcome.records.push(*record),
                _ => {}
            }
        }
        self.fold(&outcome.records);
        self.records.extend(outcome.records.iter().cloned());
        outcome
    }

    /// A manager that starts again has the same state.
    fn fold(&mut self, records: &[Record]) {
        for record in records {
            let payload = match &record.event {
                RecordedEvent::Message(message) => {
                    message.message.as_ref().map(|message| message.payload.clone())
                }
                _ => None,
            };
            for change in &record.changes {
                // As the journal keeps it.
                let json = serde_json::to_string(change).expect("JSON");
                let change = serde_json::from_str(&json).expect("the JSON of a change");
                self.folded.apply(&change, payload.as_ref().unwrap_or(&Value::Null));
            }
        }
        let (ours, folded) = (&self.state, &self.folded);
        assert_eq!(folded.runs, ours.runs);
        assert_eq!(folded.joins, ours.joins);
        assert_eq!(folded.parked, ours.parked);
        assert_eq!(folded.holds, ours.holds);
        assert_eq!(folded.scheduled, ours.scheduled);
        assert_eq!(folded.expected, ours.expected);
        assert_eq!(folded.checklist, ours.checklist);
    }
}

/// Both clocks at a moment. The machine was booted a while before the day begins.
fn time_of(now: &ZonedDateTime) -> DecisionTime {
    let uptime = now.timestamp().duration_since(begin().timestamp()) + SignedDuration::from_secs(1_000);
    DecisionTime { wall: now.clone(), boot_time: Some(BootTime { boot: BootId(1), uptime }) }
}
