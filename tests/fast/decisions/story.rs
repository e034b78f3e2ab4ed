//! A manager without a socket, a file or a process: what it hears, what it does, and a clock that the test turns.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use nowcast::config;
use nowcast_core::checklist::Checklist;
use nowcast_core::hold::HoldTarget;
use nowcast_core::message::Message;
use nowcast_core::notes::LastMessage;
use nowcast_core::record::{MessageRecord, RecordedEvent};
use nowcast_core::rules::Requirement;
use nowcast_core::{
    Answer, CallId, Change, Command, Cycle, CycleOption, Effect, Ending, Event, JoinRequest, NextWorker,
    Number, PoisonRequest, Record, Request, RequestId, ReturnedLaunches, RuleCallResult, RuleError,
    RuleInput, Rules, RunId, State, decide, end_if_idle,
};
use nowcast_core::{BootId, BootTime, Clock, DecisionTime, NotedTime, Now, TimePoint};
use pyyaml::Value;

const CONFIG: &str = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
run: {enabled hosts: {robot.nibi: }}
message registry:
  manager: {ack: message acknowledged}
  next workers module: next_workers
  workers:
    weather:
      checklist key: weather forecast
      success: downloaded
      failure: failed
      failure 06: failed at six
      crash: crashed
      need: needs
      clear checklist: clear
    rivers: {checklist key: rivers, success: collected, failure: failed, crash: crashed}
    ssh: {checklist key: ssh, success: collected, crash: crashed}
    upload: {success: uploaded, failure: failed, crash: crashed}
    mute: {success: done}
    feeds: {success: made, halfway: half, success nowcast: made, success nowcast-green: made, success forecast2: made}
";

type Rule = Box<dyn Fn(&Message, &Value) -> Result<ReturnedLaunches, RuleError>>;

/// One call of a rule.
#[derive(Debug)]
pub struct Called {
    pub source: String,
    pub r#type: String,
    pub checklist: Value,
    pub now: ZonedDateTime,
    /// The last message of the watched worker and type, as the rule sees it.
    pub last_noted: Option<LastMessage>,
}

/// Rules that are a function of the test's.
struct Fake {
    rule: Rule,
    calls: RefCell<Vec<Called>>,
    /// A worker and a type.
    watched: (&'static str, &'static str),
}

impl Rules for Fake {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        let RuleInput { message, checklist, now, cycles, .. } = *input;
        let (worker, r#type) = self.watched;
        self.calls.borrow_mut().push(Called {
            source: message.source.clone(),
            r#type: message.r#type.clone(),
            checklist: checklist.clone(),
            now: now.clone(),
            last_noted: cycles.expect("known").last(worker, r#type, None).cloned(),
        });
        RuleCallResult::new((self.rule)(message, checklist))
    }
}

pub struct Story {
    pub state: State,
    /// The true time. A test may turn it on; then what is due is not looked at.
    pub now: ZonedDateTime,
    /// How much the wall clock is ahead.
    ahead: SignedDuration,
    /// The boot of the machine, and its time.
    boot: (BootId, Timestamp),
    rules: Fake,
    looked_at: TimePoint,
    requests: u64,
    /// All records since the beginning.
    pub records: Vec<Record>,
    /// What the journal's records make of nothing.
    folded: State,
}

/// The outcome of a step.
#[derive(Debug, Default)]
pub struct Heard {
    pub replies: Vec<Message>,
    /// The names of the workers that were launched.
    pub launched: Vec<String>,
    pub runs: Vec<RunId>,
    pub stop_requested: Vec<RunId>,
    pub log: Vec<String>,
    pub records: Vec<Record>,
    pub answers: Vec<Answer>,
    pub others: Vec<Effect>,
}

impl Heard {
    fn add(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log(line) => self.log.push(format!("{} {}", line.level, line.text)),
                Effect::Reply { message, .. } => self.replies.push(message),
                Effect::Launch { run, worker, .. } => {
                    self.launched.push(worker.name().to_owned());
                    self.runs.push(run);
                }
                Effect::StopRun(run) => self.stop_requested.push(run),
                Effect::Journal(record) => self.records.push(*record),
                Effect::Answer { answer, .. } => self.answers.push(answer),
                other => self.others.push(other),
            }
        }
    }

    pub fn reply(&self) -> &str {
        &self.replies[0].r#type
    }

    /// The one run that was launched.
    pub fn run(&self) -> RunId {
        assert_eq!(self.runs.len(), 1, "one launch: {self:#?}");
        self.runs[0]
    }

    /// The records of messages.
    pub fn messages(&self) -> Vec<&MessageRecord> {
        self.records
            .iter()
            .filter_map(|record| match &record.event {
                RecordedEvent::Message(message) => Some(&**message),
                _ => None,
            })
            .collect()
    }

    /// Whether a line of that level has this in it.
    pub fn says(&self, level: &str, text: &str) -> bool {
        self.log.iter().any(|line| line.starts_with(level) && line.contains(text))
    }
}

/// A manager with these rules.
pub fn story(rule: impl Fn(&Message, &Value) -> Result<ReturnedLaunches, RuleError> + 'static) -> Story {
    configured("{}", rule)
}

/// A manager with these rules and this in the section `workers:`.
pub fn configured(
    workers: &str,
    rule: impl Fn(&Message, &Value) -> Result<ReturnedLaunches, RuleError> + 'static,
) -> Story {
    let now: ZonedDateTime = "2026-03-14T04:00:00-07:00[America/Vancouver]".parse().expect("a moment");
    let state = State::new(config(workers), Checklist::default());
    let mut story = Story {
        folded: state.clone(),
        records: Vec::new(),
        state,
        ahead: SignedDuration::ZERO,
        boot: (BootId(1), now.timestamp()),
        looked_at: TimePoint::by_wall_clock(now.timestamp()),
        now: now.clone(),
        rules: Fake { rule: Box::new(rule), calls: RefCell::default(), watched: ("", "") },
        requests: 0,
    };
    story.begins(now);
    story
}

/// A manager whose rules want nothing.
pub fn quiet(workers: &str) -> Story {
    configured(workers, |_, _| Ok(ReturnedLaunches::default()))
}

pub fn config(workers: &str) -> Arc<nowcast_core::Policy> {
    let text = format!("{CONFIG}workers: {workers}\n");
    let file = Path::new("nowcast.yaml");
    let (config, _) =
        config::parse(file, text.as_bytes(), &config::defaults::with_defaults(file)).expect("a good one");
    Arc::new(config.policy())
}

impl Story {
    /// It is another time before anything has happened. The clocks were read by an earlier event.
    pub fn begins(&mut self, now: ZonedDateTime) {
        self.boot.1 = now.timestamp() - seconds(1_000);
        self.looked_at = TimePoint::by_wall_clock(now.timestamp());
        self.now = now;
        self.state.clock = Clock::default();
        self.state.clock.reading = self.state.clock.next_reading(&self.time());
        self.folded.clock.reading.clone_from(&self.state.clock.reading);
    }

    /// Both clocks.
    pub fn time(&self) -> DecisionTime {
        let (boot, began) = self.boot;
        let boot_time = BootTime { boot, uptime: self.now.timestamp().duration_since(began) };
        DecisionTime { wall: &self.now + self.ahead, boot_time: Some(boot_time) }
    }

    /// The present, for spans.
    pub fn present(&self) -> Now {
        self.state.now(&self.time())
    }

    /// The wall clock is set by some seconds. The manager's loop notices.
    pub fn sets_clock(&mut self, by: i64) -> Heard {
        self.ahead += seconds(by);
        assert!(self.state.clock.next_reading(&self.time()).is_some(), "the loop sees the step");
        self.happens(Event::Due)
    }

    /// The machine is off for some seconds and comes up with a wall clock that is so much ahead; a manager starts.
    pub fn reboots(&mut self, off: i64, ahead: i64) -> Heard {
        self.now = &self.now + seconds(off);
        self.ahead = seconds(ahead);
        let BootId(boot) = self.boot.0;
        self.boot = (BootId(boot + 1), self.now.timestamp() - seconds(5));
        self.looked_at = TimePoint::by_wall_clock(Timestamp::MIN);
        self.happens(Event::Due)
    }

    /// Something happens now.
    pub fn happens(&mut self, event: Event) -> Heard {
        let time = self.time();
        let mut effects = decide(&mut self.state, event, &self.rules, &time);
        effects.extend(end_if_idle(&self.state));
        let mut heard = Heard::default();
        heard.add(effects);
        self.fold(&heard.records);
        heard
    }

    /// A worker's message.
    pub fn hears(&mut self, source: &str, r#type: &str, payload: &str) -> Heard {
        self.hears_message(Message::new(source, r#type, pyyaml::read(payload).expect("YAML")))
    }

    /// A worker's message without a payload that names its run.
    pub fn hears_of(&mut self, run: RunId, source: &str, r#type: &str) -> Heard {
        let mut message = Message::new(source, r#type, Value::Null);
        message.run = Some(run.0.to_string());
        self.hears_message(message)
    }

    /// A message as it is.
    pub fn hears_message(&mut self, message: Message) -> Heard {
        self.requests += 1;
        let request = RequestId(self.requests);
        let body = message.encode().into_bytes();
        let heard =
            self.happens(Event::Request(Request { id: request, ticket: None, body, message: Ok(message) }));
        assert_eq!(heard.replies.len(), 1, "every request gets one reply");
        assert_eq!(heard.messages().len(), 1, "every request makes one record of a message");
        heard
    }

    /// A worker's message that is parked undecided.
    pub fn hears_poison(&mut self, body: &str) -> Heard {
        self.requests += 1;
        let request = PoisonRequest {
            id: RequestId(self.requests),
            ticket: None,
            body: body.to_owned(),
            reason: "it ended the manager twice".to_owned(),
        };
        let heard = self.happens(Event::PoisonRequest(request));
        assert_eq!(heard.replies.len(), 1, "every request gets one reply");
        assert_eq!(heard.messages().len(), 1, "every request makes one record of a message");
        heard
    }

    pub fn ends(&mut self, run: RunId, ending: Ending) -> Heard {
        self.happens(Event::RunEnded { run, ending, ended_at: None })
    }

    /// A run of which the manager learns now that it ended at a time.
    pub fn ended(&mut self, run: RunId, ending: Ending, at: &DecisionTime) -> Heard {
        let ended = Some(NotedTime { wall: at.timestamp(), boot_time: at.boot_time });
        self.happens(Event::RunEnded { run, ending, ended_at: ended })
    }

    /// An operator's request.
    pub fn asks(&mut self, command: Command) -> (Answer, Heard) {
        self.asks_with(command, None)
    }

    pub fn asks_with(&mut self, command: Command, historical_checklist: Option<Value>) -> (Answer, Heard) {
        let heard = self.happens(Event::Command {
            call: Some(CallId(7)),
            user: "ana".to_owned(),
            command: command.clone(),
            historical_checklist,
        });
        let [answer] = heard.answers.as_slice() else { panic!("one answer: {heard:#?}") };
        let answer = answer.clone();
        let kept = heard.records.last().expect("a record");
        let expected =
            RecordedEvent::Command { user: "ana".to_owned(), command, answer: answer.text.clone() };
        assert_eq!(kept.event, expected, "a request is kept with its answer");
        (answer, heard)
    }

    /// Asks for a launch, and answers its run.
    pub fn wants(&mut self, worker: NextWorker) -> RunId {
        let (answer, _) = self.asks(Command::Launch { worker, rerun_of: None, origin: None });
        assert_eq!(answer.numbers.len(), 1);
        answer.numbers[0]
    }

    pub fn holds(&mut self, target: HoldTarget) -> Number {
        let (answer, _) = self.asks(Command::Hold { target, until: None, duration: None, reason: None });
        answer.numbers[0]
    }

    /// Time passes. As the manager's loop does it, what is due is looked at when it is due.
    pub fn passes(&mut self, seconds: i64) -> Heard {
        let until = &self.now + SignedDuration::from_secs(seconds);
        let mut heard = Heard::default();
        let mut looks = 0;
        loop {
            let now = self.present();
            self.looked_at.wall = self.looked_at.wall.min(now.wall);
            let Some(due) = self.state.next_due(self.looked_at, now) else { break };
            let Ok(at) = self.now.checked_add(due.since(now.steady)) else { break };
            if at > until {
                break;
            }
            looks += 1;
            assert!(looks < 100, "the manager would turn in circles at {due:?}");
            self.now = at;
            let time = self.time();
            self.looked_at = self.state.now(&time).time;
            let effects = decide(&mut self.state, Event::Due, &self.rules, &time);
            let mut now = Heard::default();
            now.add(effects);
            self.fold(&now.records);
            heard.launched.extend(now.launched);
            heard.runs.extend(now.runs);
            heard.stop_requested.extend(now.stop_requested);
            heard.log.extend(now.log);
            heard.records.extend(now.records);
            heard.others.extend(now.others);
        }
        self.now = until;
        heard
    }

    /// Other rules from now on.
    pub fn rules(
        &mut self,
        rule: impl Fn(&Message, &Value) -> Result<ReturnedLaunches, RuleError> + 'static,
    ) {
        self.rules.rule = Box::new(rule);
    }

    /// Rules look at the last message of this worker and type.
    pub fn watches_notes(&mut self, worker: &'static str, r#type: &'static str) {
        self.rules.watched = (worker, r#type);
    }

    /// These changes were made before.
    pub fn recalls(&mut self, changes: &[Change]) {
        for change in changes {
            self.state.apply(change, &Value::Null);
            self.folded.apply(change, &Value::Null);
        }
    }

    /// The rules' calls since this was asked the last time.
    pub fn calls(&self) -> Vec<Called> {
        self.rules.calls.take()
    }

    /// Which rules were called since this was asked the last time, as `weather success`.
    pub fn called(&self) -> Vec<String> {
        self.calls().iter().map(|call| format!("{} {}", call.source, call.r#type)).collect()
    }

    /// A manager that starts again has the same state.
    fn fold(&mut self, records: &[Record]) {
        self.records.extend_from_slice(records);
        for record in records {
            let payload = match &record.event {
                RecordedEvent::Message(message) => {
                    message.message.as_ref().map(|message| message.payload.clone())
                }
                _ => None,
            };
            for change in &record.changes {
                self.folded.apply(change, &payload.clone().unwrap_or_default());
            }
        }
        assert_eq!(self.folded.runs, self.state.runs);
        assert_eq!(self.folded.joins, self.state.joins);
        assert_eq!(self.folded.parked, self.state.parked);
        assert_eq!(self.folded.holds, self.state.holds);
        assert_eq!(self.folded.expected, self.state.expected);
        assert_eq!(self.folded.clock.reading, self.state.clock.reading);
        assert_eq!(self.folded.rules, self.state.rules);
        assert_eq!(self.folded.checklist, self.state.checklist);
        assert_eq!(self.folded.cycles, self.state.cycles);
        assert_eq!(self.folded.activity, self.state.activity);
    }
}

pub fn worker(name: &str) -> NextWorker {
    NextWorker::new(format!("nowcast.workers.{name}"), Vec::new())
}

pub fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

pub fn cycle(label: &str) -> Cycle {
    Cycle::parse(label).expect("a label")
}

/// A launch that says its cycle.
pub fn in_cycle(name: &str, label: &str) -> NextWorker {
    let mut launch = worker(name);
    launch.options.cycle = Some(CycleOption::Label(cycle(label)));
    launch
}

/// A message without a run that names a cycle.
pub fn of_cycle(source: &str, r#type: &str, label: &str) -> Message {
    Message { cycle: Some(cycle(label)), ..Message::new(source, r#type, Value::Null) }
}

/// A launch that waits some seconds.
pub fn delayed(name: &str, delay: i64) -> NextWorker {
    let mut worker = worker(name);
    worker.options.delay = Some(seconds(delay));
    worker
}

pub fn launch(names: &[&str]) -> ReturnedLaunches {
    launches(names.iter().map(|name| worker(name)).collect())
}

pub fn launches(next_workers: Vec<NextWorker>) -> ReturnedLaunches {
    ReturnedLaunches { next_workers, join: None }
}

pub fn nothing() -> ReturnedLaunches {
    ReturnedLaunches::default()
}

pub fn failed() -> RuleError {
    RuleError::Failed("next_workers.lua:3: no".into())
}

/// `rivers`, `14 rivers` or `rivers: success`.
pub fn requirement(text: &str) -> Requirement {
    let (name, r#type) = text.split_once(": ").map_or((text, None), |(name, r#type)| (name, Some(r#type)));
    let (count, name) =
        name.split_once(' ').map_or((1, name), |(count, name)| (count.parse().expect("a count"), name));
    Requirement { worker: name.into(), r#type: r#type.map(str::to_owned), count, cycle: None }
}

/// Launches and a race set.
pub fn join(names: &[&str], must_finish: &[&str]) -> ReturnedLaunches {
    let wait_for = must_finish.iter().map(|text| requirement(text)).collect();
    ReturnedLaunches { join: Some(JoinRequest { wait_for, ..JoinRequest::default() }), ..launch(names) }
}

pub fn stop_of(heard: &Heard) -> Option<u8> {
    heard.others.iter().find_map(|effect| match effect {
        Effect::Stop { status } => Some(*status),
        _ => None,
    })
}
