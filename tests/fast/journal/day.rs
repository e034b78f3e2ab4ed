//! A manager without a world: random events are decided by the core, and their records are to be kept.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, ZonedDateTime};
use nowcast::config;
use nowcast_core::checklist::Checklist;
use nowcast_core::cycles::NoteScope;
use nowcast_core::hold::HoldTarget;
use nowcast_core::message::Message;
use nowcast_core::record::{RecordedEvent, Speaker};
use nowcast_core::{
    BootId, BootTime, Change, Command, Cycle, CycleOption, Cycles, DecisionTime, Effect, Ending, Event,
    JoinRequest, NextWorker, Number, Record, Request, RequestId, Requirement, ReturnedLaunches,
    RuleCallResult, RuleError, RuleFile, RuleInput, Rules, State, Ticket, decide,
};
use proptest::prelude::*;
use pyyaml::{Keys, Map, Value};

const CONFIG: &str = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry:
  manager: {ack: message acknowledged}
  next workers module: next_workers
  workers:
    weather: {checklist key: weather forecast, success: downloaded, failure: failed, crash: crashed, need: needs, clear checklist: clear}
    rivers: {checklist key: rivers, success: collected, crash: crashed}
    ssh: {checklist key: {2026-03-14: [ssh]}, success: collected, crash: crashed}
    upload: {success: uploaded, crash: crashed}
workers:
  rivers: {max running: 1, retries: 1, timeout: 1h}
cycles: {keep: 4h}
expect:
- {worker: rivers, by: '09:00', since: '05:00', timezone: America/Vancouver}
- {worker: weather, type: failure, by: '06:30', timezone: America/Vancouver}
- {worker: weather, type: failure, by: '03:15', since: '20:00', days: [sunday], timezone: America/Vancouver}
";

const WORKERS: [&str; 4] = ["weather", "rivers", "ssh", "upload"];

/// Something that happens on a random day.
#[derive(Debug, Clone)]
pub enum Step {
    Message { worker: usize, r#type: usize, payload: usize, names: Names },
    Garbage(Vec<u8>),
    RunEnds { which: usize, status: i32 },
    Hours(i64),
    SetClock(i64),
    Boot,
    Launch(usize),
    Schedule(usize),
    Send { worker: usize, payload: usize },
    RetryAll,
    Kill(usize),
    Acknowledge(usize),
    Hold { worker: usize, hours: Option<i64> },
    Release(usize),
    Drop(usize),
    Set { payload: usize },
    Clear,
    RulesLoaded(u8),
    RulesRefused,
    ChecklistRead { payload: usize },
}

/// How a message can be known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    None,
    Ticket,
    Id,
}

const TYPES: [&str; 6] = ["success", "success", "crash", "failure", "need", "clear checklist"];

/// Payloads with all that YAML can hold; `rule` says what the rule makes of it, and `cycle` is that of the message and the launches.
const PAYLOADS: [&str; 17] = [
    "null",
    "{z: 1, a: 2, rule: launch}",
    "{rule: join, m: {y: 1, b: 2}}",
    "{rule: fail, 2026-03-14: 12:30, '12': \"2026-03-14\"}",
    "{rule: later, list: [1, 2.5, .nan, -.inf, ~, yes, 0o17]}",
    "{rule: launch both, moment: 2026-03-14T04:40:12.5-07:00}",
    "!!set {b, a}",
    "!!set {c}",
    "!!binary aGVsbG8=",
    "weather forecast",
    "[1, [2, {x: 99999999999999999999999}]]",
    "{rule: debug, text: \"line\\n\\u2028 # no: comment\"}",
    "{rule: launch, cycle: today}",
    "{rule: join, cycle: tomorrow}",
    "{cycle: yesterday, 2026-03-13: 2026-03-13T12:30:00}",
    "{rule: meet, cycle: today}",
    "{rule: meet}",
];

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = prop_oneof![Just(Names::None), Just(Names::Ticket), Just(Names::Id)];
    let step = prop_oneof![
        12 => (0..5_usize, 0..TYPES.len(), 0..PAYLOADS.len(), names)
            .prop_map(|(worker, r#type, payload, names)| Step::Message { worker, r#type, payload, names }),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Garbage),
        6 => (any::<usize>(), 0..2).prop_map(|(which, status)| Step::RunEnds { which, status }),
        4 => (0..4_i64).prop_map(Step::Hours),
        1 => (0..4_usize).prop_map(Step::Launch),
        1 => (0..4_usize).prop_map(Step::Schedule),
        1 => (0..4_usize, 0..PAYLOADS.len()).prop_map(|(worker, payload)| Step::Send { worker, payload }),
        1 => Just(Step::RetryAll),
        1 => any::<usize>().prop_map(Step::Kill),
        1 => any::<usize>().prop_map(Step::Acknowledge),
        1 => (0..5_usize, prop::option::of(0..3_i64)).prop_map(|(worker, hours)| Step::Hold { worker, hours }),
        2 => (1..60_usize).prop_map(Step::Release),
        2 => (1..60_usize).prop_map(Step::Drop),
        1 => (0..PAYLOADS.len()).prop_map(|payload| Step::Set { payload }),
        1 => Just(Step::Clear),
        1 => (-3..4_i64).prop_map(Step::SetClock),
        1 => Just(Step::Boot),
        1 => (0..3_u8).prop_map(Step::RulesLoaded),
        1 => Just(Step::RulesRefused),
        1 => (0..PAYLOADS.len()).prop_map(|payload| Step::ChecklistRead { payload }),
    ];
    prop::collection::vec(step, 0..60)
}

/// The cycle that a payload names.
fn cycle_of(payload: &Value) -> Option<Cycle> {
    payload.get("cycle").and_then(Value::as_str).map(|label| Cycle::parse(label).expect("a label"))
}

struct FakeRules;

impl Rules for FakeRules {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        let message = input.message;
        let launch = |names: &[&str]| ReturnedLaunches {
            next_workers: names.iter().map(|name| NextWorker::new(*name, vec!["12".into()])).collect(),
            join: None,
        };
        let rule = message.payload.get("rule").and_then(Value::as_str).unwrap_or_default();
        let mut answer = match rule {
            "launch" => launch(&["rivers"]),
            "launch both" => launch(&["rivers", "package.ssh"]),
            "later" => launch(&["ssh", "upload"]),
            "join" | "debug" => launch(&["upload"]),
            "fail" => return RuleCallResult::new(Err(RuleError::Failed("next_workers.lua:3: no".into()))),
            _ => ReturnedLaunches::default(),
        };
        match rule {
            "debug" => answer.next_workers[0].args.push("--debug".into()),
            "later" => answer.next_workers[0].options.delay = Some(SignedDuration::from_hours(2)),
            "join" => {
                let requirement = |worker: &str, count| Requirement {
                    worker: worker.into(),
                    r#type: None,
                    count,
                    cycle: None,
                };
                answer.join = Some(JoinRequest {
                    name: (message.source != "ssh").then(|| "all".into()),
                    wait_for: vec![requirement("rivers", 2), requirement("ssh", 1)],
                    launch: vec![NextWorker::new("upload", Vec::new())],
                    timeout: (message.source == "rivers").then(|| SignedDuration::from_hours(3)),
                    ..JoinRequest::default()
                });
            }
            "meet" => {
                let requirement =
                    |worker: &str| Requirement { worker: worker.into(), r#type: None, count: 1, cycle: None };
                let midnight = input.now.start_of_day().expect("a day").timestamp();
                let scope = cycle_of(&message.payload).map_or(NoteScope::Since(midnight), NoteScope::Cycle);
                answer.join = Some(JoinRequest {
                    name: Some("tracks".into()),
                    wait_for: vec![requirement("rivers"), requirement("weather")],
                    // Another request of the same join is a conflict.
                    launch: vec![NextWorker::new(
                        if message.source == "ssh" { "ssh" } else { "upload" },
                        Vec::new(),
                    )],
                    scope: Some(scope),
                    location: Some("next_workers.lua:30".into()),
                    ..JoinRequest::default()
                });
            }
            _ => {}
        }
        for launch in &mut answer.next_workers {
            launch.options.cycle = cycle_of(&message.payload).map(CycleOption::Label);
        }
        let place = Some("next_workers.lua:12".to_owned());
        let keys_read = vec!["weather forecast: 12".to_owned()];
        RuleCallResult { location: place, keys_read, ..RuleCallResult::new(Ok(answer)) }
    }
}

pub fn new_state() -> State {
    let (config, _) = config::parse(Path::new("nowcast.yaml"), CONFIG.as_bytes(), &|_| Some(String::new()))
        .expect("a good one");
    State::new(Arc::new(config.policy()), Checklist::default())
}

/// The manager of a day.
pub struct Day {
    pub state: State,
    /// The true time.
    pub now: ZonedDateTime,
    /// How much the wall clock is ahead.
    pub ahead: SignedDuration,
    /// The boot of the machine.
    pub boot: BootId,
    pub records: Vec<Record>,
    /// The checklist before each event, as YAML text.
    pub before: Vec<(Number, String)>,
    /// The cycles and notes before some events: each of them is a copy.
    pub cycles_before: Vec<(Number, Cycles)>,
    requests: u64,
}

impl Day {
    pub fn new() -> Self {
        let now = "2026-03-14T04:40:12.123456789-07:00[America/Vancouver]".parse().expect("a moment");
        Self {
            state: new_state(),
            now,
            ahead: SignedDuration::ZERO,
            boot: BootId(1),
            records: Vec::new(),
            before: Vec::new(),
            cycles_before: Vec::new(),
            requests: 0,
        }
    }

    /// Both clocks. What a boot began with does not matter.
    pub fn time(&self) -> DecisionTime {
        let uptime = SignedDuration::from_secs(self.now.timestamp().as_second());
        DecisionTime { wall: &self.now + self.ahead, boot_time: Some(BootTime { boot: self.boot, uptime }) }
    }

    /// A day of these steps.
    pub fn of(steps: &[Step]) -> Self {
        let mut day = Self::new();
        for step in steps {
            day.take(step);
        }
        day
    }

    pub fn take(&mut self, step: &Step) {
        let payload = |which: usize| pyyaml::read(PAYLOADS[which]).expect("YAML");
        let event = match step {
            Step::Message { worker, r#type, payload: which, names } => {
                // One more than there are: an unknown one.
                let source = WORKERS.get(*worker).unwrap_or(&"stranger");
                let mut message = Message::new(*source, TYPES[*r#type], payload(*which));
                message.cycle = cycle_of(&message.payload);
                message.id = (*names == Names::Id).then(|| format!("id {}", self.requests));
                return self.hear(message.encode().into_bytes(), *names == Names::Ticket);
            }
            Step::Garbage(bytes) => return self.hear(bytes.clone(), false),
            Step::RunEnds { which, status } => {
                let running: Vec<Number> =
                    self.state.runs.values().filter(|run| run.is_running()).map(|run| run.id).collect();
                let Some(run) = running.get(which % running.len().max(1)) else { return };
                Event::RunEnded { run: *run, ending: Ending::Status(*status), ended_at: None }
            }
            Step::Hours(hours) => {
                let passed = SignedDuration::from_hours(*hours) + SignedDuration::from_secs(3);
                self.now = self.now.checked_add(passed).expect("a moment");
                Event::Due
            }
            Step::SetClock(hours) => {
                self.ahead += SignedDuration::from_hours(*hours);
                Event::Due
            }
            Step::Boot => {
                self.boot = BootId(self.boot.0 + 1);
                Event::Due
            }
            Step::Launch(worker) => command(Command::Launch {
                worker: NextWorker::new(WORKERS[*worker], Vec::new()),
                rerun_of: None,
                origin: None,
            }),
            Step::Schedule(worker) => command(Command::LaunchScheduled {
                item: WORKERS[*worker].to_owned(),
                due: self.time().timestamp(),
                worker: NextWorker::new(WORKERS[*worker], Vec::new()),
            }),
            Step::Send { worker, payload: which } => command(Command::Send {
                source: WORKERS[*worker].into(),
                r#type: "success".into(),
                payload: PAYLOADS[*which].into(),
                cycle: cycle_of(&payload(*which)).map(CycleOption::Label),
            }),
            Step::RetryAll => command(Command::Retry { message: None, historical_checklist: false }),
            Step::Kill(which) => {
                let runs: Vec<Number> = self.state.runs.keys().copied().collect();
                command(Command::Kill {
                    run: runs.get(which % runs.len().max(1)).copied().unwrap_or_default(),
                })
            }
            Step::Acknowledge(which) => {
                let mut ended: Vec<Number> = self.records.iter().filter_map(ended_run).collect();
                let kept = which % (ended.len() + 1);
                command(Command::Acknowledge { runs: ended.split_off(kept), reason: Some("known".into()) })
            }
            Step::Hold { worker, hours } => command(Command::Hold {
                target: WORKERS
                    .get(*worker)
                    .map_or(HoldTarget::All, |name| HoldTarget::Worker((*name).into())),
                until: hours.map(|hours| self.time().timestamp() + SignedDuration::from_hours(hours)),
                duration: None,
                reason: Some("maintenance".into()),
            }),
            Step::Release(what) => command(Command::Release { number: Number(*what as u64) }),
            Step::Drop(what) => command(Command::Discard { number: Number(*what as u64) }),
            Step::Set { payload } => command(Command::ChecklistSet {
                path: "[weather forecast, 2026-03-14]".into(),
                value: PAYLOADS[*payload].into(),
            }),
            Step::Clear => command(Command::ChecklistClear { force: true }),
            Step::RulesLoaded(which) => {
                let name = |name: &str| RuleFile { name: name.into(), text: format!("-- {which}") };
                let files = vec![name("next_workers.lua"), name("a/rivers.lua")];
                Event::RulesLoaded { hash: format!("hash {which}"), files }
            }
            Step::RulesRefused => Event::RulesRefused { reason: "next_workers.lua:7: no".into() },
            Step::ChecklistRead { payload: which } => {
                let checklist: Map = [(Value::from("edited"), payload(*which))].into_iter().collect();
                Event::ChecklistRead { checklist, why: "the operator edited it".into() }
            }
        };
        self.happens(event);
    }

    /// A request with these bytes.
    pub fn hear(&mut self, body: Vec<u8>, has_ticket: bool) {
        self.requests += 1;
        let ticket = has_ticket.then_some(Ticket { epoch: u64::MAX - 7, number: self.requests });
        let message = Message::decode(&body);
        let request = RequestId(self.requests);
        self.happens(Event::Request(Request { id: request, ticket, body, message }));
    }

    /// A message of a worker, by a ticket.
    pub fn message(&mut self, source: &str, r#type: &str, payload: &str) {
        let mut message = Message::new(source, r#type, pyyaml::read(payload).expect("YAML"));
        message.cycle = cycle_of(&message.payload);
        self.hear(message.encode().into_bytes(), true);
    }

    pub fn happens(&mut self, event: Event) {
        let is_compared = self.before.len() < 100 || self.before.len().is_multiple_of(100);
        let mut before = Some((self.checklist(), is_compared.then(|| self.state.cycles.clone())));
        let time = self.time();
        for effect in decide(&mut self.state, event, &FakeRules, &time) {
            if let Effect::Journal(record) = effect {
                // What one event keeps after its first record is decided after that one.
                if let Some((checklist, cycles)) = before.take() {
                    self.before.push((record.number, checklist));
                    self.cycles_before.extend(cycles.map(|cycles| (record.number, cycles)));
                }
                self.records.push(*record);
            }
        }
    }

    pub fn checklist(&self) -> String {
        pyyaml::write(&self.state.checklist.to_value(), Keys::AsGiven)
    }
}

fn ended_run(record: &Record) -> Option<Number> {
    if let RecordedEvent::RunEnded { run } = record.event { Some(run) } else { None }
}

fn command(command: Command) -> Event {
    Event::Command { call: None, user: "ana".into(), command, historical_checklist: None }
}

/// What the history shows of a record: of its changes, those of the checklist and then those of the notes. The bytes of a message that was made
/// here are left out, since they are kept in the order that was given, not in that of the wire.
pub fn shown(mut record: Record) -> Record {
    record.changes.retain(|change| change.is_of_checklist() || change.is_of_notes());
    record.changes.sort_by_key(Change::is_of_notes);
    if let RecordedEvent::Message(message) = &mut record.event
        && message.speaker != Speaker::Worker
    {
        message.body.clear();
    }
    record
}

/// A checklist in the order of its keys.
pub fn text(checklist: &Map) -> String {
    pyyaml::write(&checklist.clone().into(), Keys::AsGiven)
}
