//! A day, lived by the core and by the model side by side.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nowcast_core::Alarm;
use nowcast_core::checklist::Checklist;
use nowcast_core::message::Message;
use nowcast_core::parked::{Parked, ParkedItem};
use nowcast_core::record::{MessageRecord, RecordedEvent, Speaker};
use nowcast_core::{BootId, BootTime, DecisionTime, Now, TimePoint};
use nowcast_core::{
    Change, Effect, Ending, Event, Number, PoisonRequest, Record, Request, RequestId, State, decide,
};
use pyyaml::Value;

use crate::model::plan::{Day, SaidCycle, Step, TYPES, WORKERS, Which};
use crate::model::reference::{Model, NamedRun, Outcome, Said};
use crate::model::translate::{PARSED, Table, cycle, moment};

/// How many times the manager may wake at one moment.
const LOOKS: usize = 20;

pub struct World {
    pub state: State,
    pub folded: State,
    pub rules: Table,
    pub looked_at: TimePoint,
    /// Seconds since the machine was booted.
    pub uptime: i64,
    pub model: Model,
    /// The numbers of what the model knows by its place in a list.
    pub runs: Vec<Number>,
    pub joins: Vec<Number>,
    pub parked_launches: Vec<Number>,
    pub holds: Vec<Number>,
    pub messages: Vec<(Number, MessageRecord)>,
    pub used: BTreeSet<Number>,
    pub last_record: Number,
    pub changes: Vec<(Change, Value)>,
    pub requests: u64,
    pub launched: BTreeSet<Number>,
    pub crashed: BTreeSet<Number>,
    pub commanded: usize,
}

/// What an event made the core do.
#[derive(Default)]
pub struct Effects {
    pub launched: Vec<Number>,
    pub stopped: Vec<Number>,
    pub replies: Vec<RequestId>,
    pub answers: Vec<bool>,
    pub records: Vec<Record>,
    /// The workers of notices that something is late.
    pub late: Vec<String>,
}

/// Lives a day; panics where core and model part.
pub fn live((rules, config, steps): &Day) {
    let state = State::new(PARSED[*config].clone(), Checklist::default());
    let mut world = World {
        folded: state.clone(),
        state,
        rules: Table { rules: rules.clone(), ..Table::default() },
        looked_at: TimePoint::by_wall_clock(moment(0)),
        uptime: 1_000,
        model: Model::new(rules.clone(), *config),
        runs: Vec::new(),
        joins: Vec::new(),
        parked_launches: Vec::new(),
        holds: Vec::new(),
        messages: Vec::new(),
        used: BTreeSet::new(),
        last_record: Number(0),
        changes: Vec::new(),
        requests: 0,
        launched: BTreeSet::new(),
        crashed: BTreeSet::new(),
        commanded: 0,
    };
    world.look();
    let mut midday = None;
    for (number, step) in steps.iter().enumerate() {
        world.step(step);
        world.look();
        if number == steps.len() / 2 {
            midday = Some((world.changes.len(), world.state.clone()));
        }
    }
    if let Some((at, mut state)) = midday {
        for (change, payload) in &world.changes[at..] {
            let text = serde_json::to_string(change).expect("JSON");
            let read: Change = serde_json::from_str(&text).expect("a change");
            assert_eq!(read, *change, "{text}");
            state.apply(&read, payload);
        }
        assert_same(&state, &world.state);
    }
}

fn assert_same(folded: &State, state: &State) {
    assert_eq!(folded.runs, state.runs);
    assert_eq!(folded.joins, state.joins);
    assert_eq!(folded.parked, state.parked);
    assert_eq!(folded.holds, state.holds);
    assert_eq!(folded.expected, state.expected);
    assert_eq!(folded.clock.reading, state.clock.reading);
    assert_eq!(folded.rules, state.rules);
    assert_eq!(folded.checklist, state.checklist);
}

impl World {
    fn time(&self) -> DecisionTime {
        let boot = BootId(self.model.now.boot);
        let boot_time = BootTime { boot, uptime: SignedDuration::from_secs(self.uptime) };
        let wall = moment(self.model.now.wall).to_zoned_datetime(TimeZone::UTC);
        DecisionTime { wall, boot_time: Some(boot_time) }
    }

    pub fn present(&self) -> Now {
        self.state.now(&self.time())
    }

    pub fn decide(&mut self, event: Event) -> Effects {
        let time = self.time();
        assert_eq!(self.state.now(&time).steady.0, moment(self.model.now.passed), "the time that has passed");
        let mut done = Effects::default();
        for effect in decide(&mut self.state, event, &self.rules, &time) {
            match effect {
                Effect::Launch { run, worker, cycle, .. } => {
                    assert!(self.launched.insert(run), "{run} is launched twice");
                    assert_eq!(worker, self.state.runs[&run].worker);
                    assert_eq!(cycle, self.state.runs[&run].cycle);
                    done.launched.push(run);
                }
                Effect::StopRun(run) => done.stopped.push(run),
                Effect::Reply { request, .. } => done.replies.push(request),
                Effect::Answer { answer, .. } => done.answers.push(answer.done),
                Effect::Journal(record) => done.records.push(*record),
                Effect::Stop { .. } | Effect::Reload | Effect::Prune { .. } => {
                    panic!("the model asks for neither")
                }
                Effect::Notify(notice) => {
                    if notice.alarm == Some(Alarm::Late) {
                        done.late.push(notice.worker);
                    }
                }
                Effect::Log(_) | Effect::LogChecklist(_) | Effect::WriteChecklist => {}
            }
        }
        for record in &done.records {
            self.keep(record);
        }
        assert_same(&self.folded, &self.state);
        assert_eq!(
            self.used.last().map_or(0, |number| number.0),
            self.state.last_number,
            "no number is lost"
        );
        done
    }

    /// A record: its numbers are new, and its changes make the same state.
    fn keep(&mut self, record: &Record) {
        assert!(record.number > self.last_record, "records have rising numbers");
        self.model.last_event = self.model.now;
        self.last_record = record.number;
        assert!(self.used.insert(record.number), "{} is used twice", record.number);
        let mut payload = Value::Null;
        if let RecordedEvent::Message(message) = &record.event {
            payload = message.message.as_ref().expect("a message").payload.clone();
            if message.speaker == Speaker::Manager {
                assert!(self.crashed.insert(message.run.expect("a run")), "one crash for each silent end");
            }
            self.messages.push((record.number, (**message).clone()));
        }
        let [mut runs, mut joins, mut parked] = [Vec::new(), Vec::new(), Vec::new()];
        for change in &record.changes {
            self.folded.apply(change, &payload);
            self.changes.push((change.clone(), payload.clone()));
            match change {
                Change::Run(run) if !self.runs.contains(&run.id) => runs.push(run.id),
                Change::Join(join) if !self.joins.contains(&join.id) => joins.push(join.id),
                Change::Parked(Parked { id, item: ParkedItem::Launches { join: None, .. }, .. }) => {
                    parked.push(*id);
                }
                Change::Hold(hold) => {
                    assert!(self.used.insert(hold.id));
                    self.holds.push(hold.id);
                }
                _ => {}
            }
        }
        runs.sort_unstable();
        joins.sort_unstable();
        joins.dedup();
        for number in runs.iter().chain(&joins).chain(&parked) {
            assert!(*number > record.number && self.used.insert(*number), "{number} is used twice");
        }
        self.runs.extend(runs);
        self.joins.extend(joins);
        self.parked_launches.extend(parked);
    }

    /// The manager's loop looks whether something is due. If nothing is, the model must agree.
    fn look(&mut self) {
        for _ in 0..LOOKS {
            let (time, now) = (self.time(), self.present());
            self.looked_at.wall = self.looked_at.wall.min(now.wall);
            let is_due = self.state.next_due(self.looked_at, now).is_some_and(|due| due <= now.steady)
                || self.state.clock.next_reading(&time).is_some();
            let mut done = Effects::default();
            if is_due {
                self.looked_at = now.time;
                done = self.decide(Event::Due);
            }
            self.model.due();
            self.compare(&done);
            if !is_due {
                return;
            }
        }
        panic!("the manager turns in circles");
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Message { worker, r#type, value, run, cycle } => {
                self.message(*worker, *r#type, *value, (run.as_ref(), *cycle), false);
            }
            Step::Poison { worker, r#type, value, run, cycle } => {
                self.message(*worker, *r#type, *value, (run.as_ref(), *cycle), true);
            }
            Step::Need { worker } => self.special(*worker, "need", Outcome::Answered),
            Step::ClearByWorker { worker } => self.special(*worker, "clear checklist", Outcome::Cleared),
            Step::End { run, status } => {
                let running = self.running();
                let Some(run) = pick(&running, *run) else { return };
                self.end(run, *status);
            }
            Step::Finish { run, r#type } => {
                let running = self.running();
                let Some(run) = pick(&running, *run) else { return };
                let (worker, named) = (self.model.runs[run].launch.worker, Which::Any(self.runs[run].0));
                self.message(worker, *r#type, None, (Some(&named), None), false);
                self.look();
                self.end(run, 0);
            }
            Step::Pass { seconds } => {
                for _ in 0..*seconds {
                    self.model.now.passed += 1;
                    self.model.now.wall += 1;
                    self.uptime += 1;
                    self.look();
                }
            }
            Step::SetClock { by } => self.model.set_clock(*by),
            Step::Reboot { by } => {
                self.model.reboot(*by);
                self.uptime = 5;
                self.looked_at = TimePoint::by_wall_clock(Timestamp::MIN);
            }
            Step::Rule { worker, rule } => {
                self.model.rules[*worker] = rule.clone();
                self.rules.rules[*worker] = rule.clone();
                let hash = format!("rules after {}", self.state.last_number);
                let done = self.decide(Event::RulesLoaded { hash, files: Vec::new() });
                self.model.admit();
                self.compare(&done);
            }
            Step::Configure { config } => {
                self.model.config = *config;
                self.model.due();
                let done = self.decide(Event::Reloaded { policy: PARSED[*config].clone() });
                self.compare(&done);
            }
            command => self.command(command),
        }
    }

    fn running(&self) -> Vec<usize> {
        (0..self.runs.len()).filter(|run| self.model.runs[*run].is_running()).collect()
    }

    fn end(&mut self, run: usize, status: i32) {
        self.model.runs[run].ended = Some(self.model.now);
        self.model.admit();
        let ending = Ending::Status(status);
        let done = self.decide(Event::RunEnded { run: self.runs[run], ending, ended_at: None });
        self.compare(&done);
    }

    fn message(
        &mut self,
        worker: usize,
        r#type: usize,
        value: Option<i64>,
        (which, named_cycle): (Option<&Which>, Option<usize>),
        is_poison: bool,
    ) {
        let is_of_a_run = worker == usize::MAX;
        let named = match which {
            None => None,
            Some(Which::Any(number)) => Some(Number(*number)),
            Some(Which::OfThese(nth)) => {
                let runs: Vec<usize> = (0..self.runs.len())
                    .filter(|run| !is_of_a_run || self.model.runs[*run].is_running())
                    .collect();
                pick(&runs, *nth).map(|run| self.runs[run])
            }
        };
        let run = named.and_then(|named| self.runs.iter().position(|run| *run == named));
        let worker = match run {
            Some(run) if is_of_a_run => self.model.runs[run].launch.worker,
            _ if is_of_a_run => return,
            _ => worker,
        };
        // Plain workers do not know their runs.
        let named = named.filter(|named| !(is_of_a_run && named.0.is_multiple_of(3)));
        let model_named = named.map(|_| run.map_or(NamedRun::Unknown, NamedRun::Run));
        let said = Said { run: model_named, cycle: SaidCycle::named(named_cycle) };
        if is_poison {
            self.model.poison(worker, r#type, value, said);
        } else {
            self.model.message(worker, r#type, value, said);
        }
        self.model.admit();
        let mut message =
            Message::new(WORKERS[worker], TYPES[r#type], value.map_or(Value::Null, Value::from));
        message.run = named.map(|named| named.0.to_string());
        message.cycle = named_cycle.map(cycle);
        self.request(message, is_poison);
    }

    fn special(&mut self, worker: usize, r#type: &str, outcome: Outcome) {
        let is_known = worker != 4;
        let mut run = None;
        if is_known && outcome == Outcome::Cleared {
            self.model.checklist.clear();
            run = self.model.run_of(worker, Said { run: None, cycle: SaidCycle::Nothing });
        }
        let outcome = if is_known { outcome } else { Outcome::Refused };
        self.model.add_message(worker, 0, (run, None), outcome);
        self.model.admit();
        self.request(Message::new(WORKERS[worker], r#type, Value::Null), false);
    }

    fn request(&mut self, message: Message, is_poison: bool) {
        self.requests += 1;
        let request = RequestId(self.requests);
        let body = message.encode();
        let event = if is_poison {
            Event::PoisonRequest(PoisonRequest {
                id: request,
                ticket: None,
                body,
                reason: "poison".to_owned(),
            })
        } else {
            let body = body.into_bytes();
            Event::Request(Request { id: request, ticket: None, body, message: Ok(message) })
        };
        let done = self.decide(event);
        assert_eq!(done.replies, [request], "every request gets one reply");
        assert_eq!(done.records.len(), 1, "and makes one record");
        self.compare(&done);
    }
}

pub fn pick<T: Copy>(these: &[T], nth: usize) -> Option<T> {
    (!these.is_empty()).then(|| these[nth % these.len()])
}
