//! A day, lived by the core and by the model side by side.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use nowcast::config::{self, Config};
use nowcast::core::checklist::Checklist;
use nowcast::core::hold::Target;
use nowcast::core::joins::WaitingLaunch;
use nowcast::core::parked::ParkedWhat;
use nowcast::core::record::{MessageRecord, Outcome as Real, Speaker, What};
use nowcast::core::run::Stage;
use nowcast::core::{
    CallId, Change, Command, Effect, Ending, Event, JoinRequest, LaunchOptions, NextWorker, Number, Record,
    Request, RequestId, RuleAnswer, RuleCall, RuleError, Rules, State, Wanted, decide,
};
use nowcast::message::Message;
use nowcast::yaml::Value;

use crate::plan::{CONFIGS, Day, Held, Join, Launch, Rule, Step, TYPES, WORKERS, Which};
use crate::reference::{Model, NamedRun, Outcome};

/// A time limit on looking again and again at one moment.
const LOOKS: usize = 20;

static PARSED: LazyLock<Vec<Arc<Config>>> = LazyLock::new(|| (0..CONFIGS.len()).map(parsed).collect());

fn parsed(number: usize) -> Arc<Config> {
    use std::fmt::Write;
    let mut text = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry:
  manager: {ack: message acknowledged}
  next workers module: next_workers
  workers:
"
    .to_owned();
    for name in &WORKERS[..4] {
        let crash = if *name == "d" { "" } else { "crash: '', " };
        let line = format!(
            "    {name}: {{checklist key: {name}, success: '', failure: '', failure late: '', {crash}need: '', clear \
             checklist: ''}}\n"
        );
        text.push_str(&line);
    }
    text.push_str("workers:\n");
    for (name, (running, timeout, retries, delay)) in WORKERS.iter().zip(CONFIGS[number]) {
        let mut line = format!("  {name}: {{");
        let mut add = |key, value: Option<String>| {
            if let Some(value) = value {
                write!(line, "{key}: {value}, ").expect("a string");
            }
        };
        add("max running", running.map(|count| count.to_string()));
        add("timeout", timeout.map(|seconds| format!("{seconds}s")));
        add("retries", retries.map(|count| count.to_string()));
        add("retry delay", delay.map(|seconds| format!("{seconds}s")));
        text.push_str(line.trim_end_matches(", "));
        text.push_str("}\n");
    }
    let (config, _) =
        config::parse(Path::new("nowcast.yaml"), text.as_bytes(), &|_| None).expect("a good configuration");
    Arc::new(config)
}

/// The rules that the model has too.
#[derive(Default)]
struct Table {
    rules: Vec<Rule>,
    /// The times that they were shown.
    calls: RefCell<Vec<Timestamp>>,
    /// How many launches they wanted.
    wanted: RefCell<usize>,
}

impl Rules for Table {
    fn after(&self, message: &Message, _config: &Value, _checklist: &Value, now: &ZonedDateTime) -> RuleCall {
        self.calls.borrow_mut().push(now.timestamp());
        let worker = WORKERS.iter().position(|name| *name == message.source).expect("a known worker");
        RuleCall::new(match self.rules[worker].clone() {
            Rule::Fails => Err(RuleError::Failed("no".into())),
            Rule::IsMissing => Err(RuleError::NoFunction { function: "f".into(), module: "m".into() }),
            Rule::Answers(launches, join) => {
                let own = join.as_ref().map_or(0, |join| join.launch.len());
                *self.wanted.borrow_mut() += launches.len() + own;
                let next_workers = launches.iter().map(next_worker).collect();
                Ok(RuleAnswer { next_workers, join: join.as_ref().map(join_request) })
            }
        })
    }
}

fn moment(second: i64) -> Timestamp {
    let begin: Timestamp = "2026-03-14T11:00:00Z".parse().expect("a moment");
    begin + SignedDuration::from_secs(second)
}

fn next_worker(launch: &Launch) -> NextWorker {
    let span = |seconds: Option<i64>| seconds.map(SignedDuration::from_secs);
    NextWorker {
        module: format!("nowcast.workers.{}", WORKERS[launch.worker]),
        args: if launch.is_debug { vec!["--debug".into()] } else { Vec::new() },
        host: if launch.is_far { "far" } else { "localhost" }.into(),
        options: LaunchOptions {
            delay: span(launch.delay),
            at: launch.at.map(moment),
            timeout: span(launch.timeout),
            retries: launch.retries,
            retry_delay: span(launch.retry_delay),
            env: Vec::new(),
        },
        place: None,
    }
}

fn wanted(list: &[crate::plan::Wanted]) -> Vec<Wanted> {
    list.iter()
        .map(|(worker, r#type, count)| Wanted {
            worker: WORKERS[*worker].into(),
            r#type: r#type.map(|r#type| TYPES[r#type].into()),
            count: *count,
        })
        .collect()
}

fn join_request(join: &Join) -> JoinRequest {
    JoinRequest {
        name: join.name.map(|name| format!("join {name}")),
        wait_for: wanted(&join.wait_for),
        launch: join.launch.iter().map(next_worker).collect(),
        timeout: join.timeout.map(SignedDuration::from_secs),
    }
}

struct World {
    state: State,
    folded: State,
    rules: Table,
    looked_at: Timestamp,
    model: Model,
    /// The numbers of what the model knows by its place in a list.
    runs: Vec<Number>,
    joins: Vec<Number>,
    holds: Vec<Number>,
    messages: Vec<(Number, MessageRecord)>,
    used: BTreeSet<Number>,
    last_record: Number,
    changes: Vec<(Change, Value)>,
    requests: u64,
    launched: BTreeSet<Number>,
    crashed: BTreeSet<Number>,
    dropped: usize,
    commanded: usize,
}

/// What an event made the core do.
#[derive(Default)]
struct Effects {
    launched: Vec<Number>,
    told: Vec<Number>,
    replies: Vec<RequestId>,
    answers: Vec<bool>,
    records: Vec<Record>,
}

/// Lives a day; panics where core and model part.
pub fn live((rules, config, steps): &Day) {
    let state = State::new(PARSED[*config].clone(), Checklist::default());
    let mut world = World {
        folded: state.clone(),
        state,
        rules: Table { rules: rules.clone(), ..Table::default() },
        looked_at: moment(0),
        model: Model::new(rules.clone(), *config),
        runs: Vec::new(),
        joins: Vec::new(),
        holds: Vec::new(),
        messages: Vec::new(),
        used: BTreeSet::new(),
        last_record: Number(0),
        changes: Vec::new(),
        requests: 0,
        launched: BTreeSet::new(),
        crashed: BTreeSet::new(),
        dropped: 0,
        commanded: 0,
    };
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
    assert_eq!(folded.rules, state.rules);
    assert_eq!(folded.checklist, state.checklist);
}

impl World {
    fn now(&self) -> Timestamp {
        moment(self.model.now)
    }

    fn decide(&mut self, event: Event) -> Effects {
        let now = self.now().to_zoned_datetime(TimeZone::UTC);
        let mut done = Effects::default();
        for effect in decide(&mut self.state, event, &self.rules, &now) {
            match effect {
                Effect::Launch { run, worker, .. } => {
                    assert!(self.launched.insert(run), "{run} is launched twice");
                    assert_eq!(worker, self.state.runs[&run].worker);
                    done.launched.push(run);
                }
                Effect::EndRun(run) => done.told.push(run),
                Effect::Reply { request, .. } => done.replies.push(request),
                Effect::Answer { answer, .. } => done.answers.push(answer.done),
                Effect::Journal(record) => done.records.push(*record),
                Effect::Stop { .. } | Effect::Reload => panic!("nobody asked for that"),
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
        self.last_record = record.number;
        assert!(self.used.insert(record.number), "{} is used twice", record.number);
        let mut payload = Value::Null;
        if let What::Message(message) = &record.what {
            payload = message.message.as_ref().expect("a message").payload.clone();
            if message.speaker == Speaker::Manager {
                assert!(self.crashed.insert(message.run.expect("a run")), "one crash for each silent end");
            }
            self.messages.push((record.number, (**message).clone()));
        }
        let [mut runs, mut joins] = [Vec::new(), Vec::new()];
        for change in &record.changes {
            self.folded.apply(change, &payload);
            self.changes.push((change.clone(), payload.clone()));
            match change {
                Change::Run(run) if !self.runs.contains(&run.id) => runs.push(run.id),
                Change::Join(join) if !self.joins.contains(&join.id) => joins.push(join.id),
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
        for number in runs.iter().chain(&joins) {
            assert!(*number > record.number && self.used.insert(*number), "{number} is used twice");
        }
        self.runs.extend(runs);
        self.joins.extend(joins);
    }

    /// The manager's loop looks whether something is due. If nothing is, the model must agree.
    fn look(&mut self) {
        for _ in 0..LOOKS {
            let now = self.now();
            let is_due = self.state.next_due(self.looked_at).is_some_and(|due| due <= now);
            let mut done = Effects::default();
            if is_due {
                self.looked_at = now;
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
            Step::Message { worker, r#type, value, run } => {
                self.message(*worker, *r#type, *value, run.as_ref());
            }
            Step::Need { worker } => self.special(*worker, "need", Outcome::Answered),
            Step::ClearByWorker { worker } => self.special(*worker, "clear checklist", Outcome::Cleared),
            Step::End { run, status } => {
                let running: Vec<usize> =
                    (0..self.runs.len()).filter(|run| self.model.runs[*run].is_running()).collect();
                let Some(run) = pick(&running, *run) else { return };
                self.model.runs[run].ended = Some(self.model.now);
                self.model.admit();
                let event = Event::RunEnded { run: self.runs[run], ending: Ending::Status(*status) };
                let done = self.decide(event);
                self.compare(&done);
            }
            Step::Pass { seconds } => {
                for _ in 0..*seconds {
                    self.model.now += 1;
                    self.look();
                }
            }
            Step::Rule { worker, rule } => {
                self.model.rules[*worker] = rule.clone();
                self.rules.rules[*worker] = rule.clone();
                let hash = format!("rules after {}", self.state.last_number);
                let done = self.decide(Event::RulesLoaded { hash });
                self.model.admit();
                self.compare(&done);
            }
            Step::Configure { config } => {
                self.model.config = *config;
                self.model.due();
                let done = self.decide(Event::Reloaded { config: PARSED[*config].clone() });
                self.compare(&done);
            }
            command => self.command(command),
        }
    }

    fn message(&mut self, worker: usize, r#type: usize, value: Option<i64>, which: Option<&Which>) {
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
        self.model.message(worker, r#type, value, model_named);
        self.model.admit();
        let mut message =
            Message::new(WORKERS[worker], TYPES[r#type], value.map_or(Value::Null, Value::from));
        message.run = named.map(|named| named.0.to_string());
        self.request(message);
    }

    fn special(&mut self, worker: usize, r#type: &str, outcome: Outcome) {
        let is_known = worker != 4;
        if is_known && outcome == Outcome::Cleared {
            self.model.checklist.clear();
        }
        let outcome = if is_known { outcome } else { Outcome::Refused };
        self.model.add_message(worker, 0, None, outcome);
        self.model.admit();
        self.request(Message::new(WORKERS[worker], r#type, Value::Null));
    }

    fn request(&mut self, message: Message) {
        self.requests += 1;
        let request = RequestId(self.requests);
        let body = message.encode().into_bytes();
        let event = Event::Request(Request { request, ticket: None, body, message: Ok(message) });
        let done = self.decide(event);
        assert_eq!(done.replies, [request], "every request gets one reply");
        assert_eq!(done.records.len(), 1, "and makes one record");
        self.compare(&done);
    }

    /// Everything that an operator could name.
    fn things(&self) -> Vec<Number> {
        let model = &self.model;
        let runs =
            (0..model.runs.len()).filter(|run| !model.runs[*run].is_closed()).map(|run| self.runs[run]);
        let joins = (0..model.joins.len())
            .filter(|join| model.joins[*join].is_open || model.joins[*join].is_parked)
            .map(|join| self.joins[join]);
        let holds =
            (0..model.holds.len()).filter(|hold| !model.holds[*hold].is_over).map(|hold| self.holds[hold]);
        runs.chain(joins)
            .chain(holds)
            .chain(model.parked.iter().map(|message| self.messages[*message].0))
            .collect()
    }

    fn command(&mut self, step: &Step) {
        let (command, is_done) = match step {
            Step::Launch(launch) => {
                self.commanded += 1;
                self.model.want(launch.clone());
                (Command::Launch { worker: next_worker(launch), again: None }, true)
            }
            Step::Kill(which) => {
                let what = number(which, &self.things());
                let run = self.runs.iter().position(|run| *run == what);
                let run = run.filter(|run| self.model.runs[*run].is_running());
                if let Some(run) = run {
                    self.model.kill(run);
                }
                (Command::Kill { run: what }, run.is_some())
            }
            Step::Hold { held, seconds } => {
                let until = seconds.map(|seconds| self.model.now + seconds);
                self.model.holds.push(crate::reference::Hold { held: *held, until, is_over: false });
                let target = target(*held);
                (Command::Hold { target, until: until.map(moment), reason: None }, true)
            }
            Step::Release(which) => {
                let what = number(which, &self.things());
                (Command::Release { what }, self.release(what))
            }
            Step::Drop(which) => {
                let what = number(which, &self.things());
                (Command::Drop { what }, self.drop_it(what))
            }
            Step::Retry(which) => return self.retry(which.as_ref()),
            Step::Send { worker, r#type, value } => {
                self.model.message(*worker, *r#type, *value, None);
                let (source, r#type) = (WORKERS[*worker].into(), TYPES[*r#type].into());
                let payload = value.map_or("null".into(), |value| value.to_string());
                let outcome = self.model.messages.last().expect("a message").outcome;
                let is_done = matches!(outcome, Outcome::Ruled | Outcome::TriedAgain(_));
                (Command::Send { source, r#type, payload }, is_done)
            }
            Step::Set { worker, value } => {
                self.model.set(*worker, *value);
                let path = format!("[{}]", WORKERS[*worker]);
                (Command::ChecklistSet { path, value: value.to_string() }, true)
            }
            Step::Clear { force } => {
                let is_done = *force || (0..5).all(|worker| self.model.running(worker) == 0);
                if is_done {
                    self.model.checklist.clear();
                }
                (Command::ChecklistClear { force: *force }, is_done)
            }
            other => panic!("{other:?} is no command"),
        };
        self.model.admit();
        self.ask(&command, is_done);
    }

    fn ask(&mut self, command: &Command, is_done: bool) {
        let user = "ana".to_owned();
        let call = Some(CallId(1));
        let event =
            Event::Command { call, user: user.clone(), command: command.clone(), checklist_then: None };
        let done = self.decide(event);
        assert_eq!(done.answers, [is_done], "{command:?}");
        let kept = &done.records.last().expect("a record").what;
        assert!(
            matches!(kept, What::Command { user: who, command: what, .. } if *who == user && what == command),
            "{kept:?}"
        );
        self.compare(&done);
    }

    fn release(&mut self, what: Number) -> bool {
        let model = &mut self.model;
        if let Some(hold) = self.holds.iter().position(|hold| *hold == what) {
            return !std::mem::replace(&mut model.holds[hold].is_over, true);
        }
        if let Some(join) = self.joins.iter().position(|join| *join == what) {
            let is_there = model.joins[join].is_open || model.joins[join].is_parked;
            if is_there {
                (model.joins[join].is_open, model.joins[join].is_parked) = (false, false);
                model.want_all(model.joins[join].launches());
            }
            return is_there;
        }
        let run = self.runs.iter().position(|run| *run == what).filter(|run| model.runs[*run].is_waiting());
        if let Some(run) = run {
            model.runs[run].due = model.now;
        }
        run.is_some()
    }

    fn drop_it(&mut self, what: Number) -> bool {
        let model = &mut self.model;
        if let Some(message) = self.messages.iter().position(|(number, _)| *number == what) {
            let before = model.parked.len();
            model.parked.retain(|parked| *parked != message);
            return model.parked.len() < before;
        }
        if let Some(join) = self.joins.iter().position(|join| *join == what) {
            let is_there = model.joins[join].is_open || model.joins[join].is_parked;
            if is_there {
                (model.joins[join].is_open, model.joins[join].is_parked) = (false, false);
                self.dropped += model.joins[join].launches().len();
            }
            return is_there;
        }
        let run = self.runs.iter().position(|run| *run == what).filter(|run| model.runs[*run].is_waiting());
        if let Some(run) = run {
            model.runs[run].is_dropped = true;
        }
        self.dropped += usize::from(run.is_some());
        run.is_some()
    }

    fn retry(&mut self, which: Option<&Which>) {
        let parked: Vec<Number> = self.model.parked.iter().map(|message| self.messages[*message].0).collect();
        let message = which.map(|which| number(which, &parked));
        let mut chosen: Vec<usize> = self
            .model
            .parked
            .iter()
            .copied()
            .filter(|parked| message.is_none_or(|message| self.messages[*parked].0 == message))
            .collect();
        chosen.sort_unstable();
        let is_wrong = chosen.is_empty() && message.is_some();
        let before = self.model.messages.len();
        for message in chosen {
            self.model.retry(message);
            self.model.admit();
        }
        let all_ruled = self.model.messages[before..].iter().all(|retried| retried.outcome == Outcome::Ruled);
        self.model.admit();
        self.ask(&Command::Retry { message, checklist_then: false }, all_ruled && !is_wrong);
    }

    /// Core and model did the same and know the same.
    fn compare(&mut self, done: &Effects) {
        let expected = self.model.done();
        let numbers = |runs: &[usize]| runs.iter().map(|run| self.runs[*run]).collect::<Vec<_>>();
        assert_eq!(self.runs.len(), self.model.runs.len(), "as many runs are wanted");
        assert_eq!(done.launched, numbers(&expected.launched), "launches");
        for (run, number) in expected.launched.iter().zip(&done.launched) {
            assert_eq!(
                self.state.runs[number].worker,
                next_worker(&self.model.runs[*run].launch),
                "{number}"
            );
        }
        assert_eq!(done.told, numbers(&expected.told), "runs that are told to end");
        let calls: Vec<Timestamp> = expected.called.into_iter().map(moment).collect();
        assert_eq!(self.rules.calls.take(), calls, "calls of rules");
        self.compare_messages();
        self.compare_runs();
        self.compare_joins();
        let holds: Vec<Number> = (0..self.holds.len())
            .filter(|hold| !self.model.holds[*hold].is_over)
            .map(|hold| self.holds[hold])
            .collect();
        assert_eq!(self.state.holds.keys().copied().collect::<Vec<_>>(), holds);
        let checklist: Vec<(Value, Value)> = self
            .model
            .checklist
            .iter()
            .map(|(worker, value)| (WORKERS[*worker].into(), (*value).into()))
            .collect();
        let real: Vec<(Value, Value)> =
            self.state.checklist.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(real, checklist);
        self.nothing_is_lost();
    }

    fn compare_messages(&self) {
        assert_eq!(self.messages.len(), self.model.messages.len(), "as many messages are decided");
        for ((number, real), model) in self.messages.iter().zip(&self.model.messages).rev().take(3) {
            let fits = match (&real.outcome, model.outcome) {
                (Real::TriedAgain(run), Outcome::TriedAgain(next)) => *run == self.runs[next],
                (Real::Ruled, Outcome::Ruled)
                | (Real::RuleFailed(_), Outcome::Failed)
                | (Real::NoFunction(_), Outcome::Missing)
                | (Real::Refused(_), Outcome::Refused)
                | (Real::Answered, Outcome::Answered)
                | (Real::Cleared, Outcome::Cleared) => true,
                _ => false,
            };
            assert!(fits, "{number}: {:?}, and not {:?}", real.outcome, model.outcome);
            assert_eq!(real.run, model.run.map(|run| self.runs[run]), "the run of {number}");
        }
        let parked: BTreeSet<Number> =
            self.model.parked.iter().map(|message| self.messages[*message].0).collect();
        let is_message = |what: &ParkedWhat| matches!(what, ParkedWhat::Message { .. });
        let real =
            self.state.parked.values().filter(|parked| is_message(&parked.what)).map(|parked| parked.id);
        assert_eq!(real.collect::<BTreeSet<_>>(), parked, "parked messages");
    }

    fn compare_runs(&self) {
        let mut open = 0;
        for (number, model) in self.runs.iter().zip(&self.model.runs) {
            let real = self.state.runs.get(number);
            assert_eq!(real.is_none(), model.is_closed(), "{number} is closed");
            let Some(real) = real else { continue };
            open += 1;
            let stage = match &real.stage {
                Stage::Waiting { due } => (Some(*due), None, None),
                Stage::Launched { at, .. } => (None, Some(*at), None),
                Stage::Ended { launched, at, .. } => (None, *launched, Some(*at)),
            };
            let due = model.is_waiting().then(|| moment(model.due));
            assert_eq!(stage, (due, model.launched.map(moment), model.ended.map(moment)), "{number}");
            assert_eq!(real.report.is_some(), model.is_reported, "{number}");
            assert_eq!(real.told_to_end.is_some(), model.is_told, "{number}");
            assert_eq!(
                (real.attempt, real.retry_of),
                (model.attempt, model.retry_of.map(|run| self.runs[run]))
            );
        }
        assert_eq!(self.state.runs.len(), open);
    }

    fn compare_joins(&self) {
        assert_eq!(self.joins.len(), self.model.joins.len(), "as many joins were opened");
        let workers = |launches: &[WaitingLaunch]| {
            launches.iter().map(|launch| launch.worker.clone()).collect::<Vec<_>>()
        };
        for (at, (number, model)) in self.joins.iter().zip(&self.model.joins).enumerate() {
            let expected: Vec<NextWorker> = model.launches().iter().map(next_worker).collect();
            assert_eq!(self.state.joins.get(*number).is_some(), model.is_open, "{number} is open");
            if let Some(real) = self.state.joins.get(*number) {
                assert_eq!(real.name, model.name);
                assert_eq!(real.wait_for, wanted(&self.model.remaining(at)), "{number}");
                assert_eq!(workers(&real.launches()), expected, "{number}");
                assert_eq!(real.deadline, model.deadline.map(moment));
            }
            let parked = self.state.parked.get(number);
            assert_eq!(parked.is_some(), model.is_parked, "{number} is parked");
            if let Some(ParkedWhat::Launches { launches, .. }) = parked.map(|parked| &parked.what) {
                assert_eq!(workers(launches), expected, "{number}");
            }
        }
    }

    /// Each launch that was wanted is somewhere, and in one place.
    fn nothing_is_lost(&self) {
        let tried_again = |record: &&(Number, MessageRecord)| matches!(record.1.outcome, Real::TriedAgain(_));
        let retried = self.messages.iter().filter(tried_again).count();
        let wanted = *self.rules.wanted.borrow() + self.commanded + retried;
        let waiting =
            self.state.runs.values().filter(|run| matches!(run.stage, Stage::Waiting { .. })).count();
        let in_joins: usize = self.state.joins.open().map(|join| join.launches().len()).sum();
        let parked: usize = self
            .state
            .parked
            .values()
            .map(|parked| match &parked.what {
                ParkedWhat::Launches { launches, .. } => launches.len(),
                ParkedWhat::Message { .. } => 0,
            })
            .sum();
        assert_eq!(self.launched.len() + waiting + in_joins + parked + self.dropped, wanted);
    }
}

fn number(which: &Which, these: &[Number]) -> Number {
    match which {
        Which::Any(number) => Number(*number),
        Which::OfThese(nth) => pick(these, *nth).unwrap_or_default(),
    }
}

fn target(held: Held) -> Target {
    match held {
        Held::All => Target::All,
        Held::Worker(worker) => Target::Worker(WORKERS[worker].into()),
        Held::Far => Target::Host("far".into()),
    }
}

fn pick<T: Copy>(these: &[T], nth: usize) -> Option<T> {
    (!these.is_empty()).then(|| these[nth % these.len()])
}
