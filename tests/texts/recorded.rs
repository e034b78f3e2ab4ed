//! A system whose daemons are played by the test: the pure core decides with real Lua rules, the real journal keeps it,
//! and the real commands read that journal and ask this manager.
//!
//! The day is always the same for those who look. The test's time zone makes the current minute noon, and
//! [`Recorded::run`] writes moments as if it were noon of 14 March 2026.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime, civil};
use nowcast::config;
use nowcast::control::{Call, Control, Listener};
use nowcast::launch::RunFolder;
use nowcast::rules::{Engine, RuleSet};
use nowcast::store::{Journal, Presence, journal};
use nowcast_core::checklist::Checklist;
use nowcast_core::message::Message;
use nowcast_core::{
    BootId, BootTime, CallId, Command, Cycle, CycleOption, DecisionTime, Effect, Ending, Event, NextWorker,
    Number, Record, Request, RequestId, RunId, State, decide, end_if_idle,
};
use regex::{Captures, Regex};
use tempfile::TempDir;

use crate::program::{command, transcript_while};
use crate::support::ports::free_ports;
use crate::support::wait::wait_for;

/// Seconds after the recorded noon within which the commands are run.
const LATEST: i64 = 300;

/// The day on which it all happens, for those who look.
const NOON: civil::DateTime = civil::date(2026, 3, 14).at(12, 0, 0, 0);

const CONFIG: &str = include_str!("recorded/nowcast.yaml");
const RULES: &str = include_str!("recorded/next_workers.lua");

/// What stands in for the daemons that run.
struct Daemons {
    control: Control,
    _broker: zmq::Socket,
    _scheduler: Presence,
}

pub struct Recorded {
    folder: TempDir,
    ports: (u16, u16),
    /// When it is noon.
    noon: Timestamp,
    zone: TimeZone,
    now: ZonedDateTime,
    looked_at: Timestamp,
    state: State,
    rules: Engine,
    /// `None` once the manager has ended.
    journal: Option<Journal>,
    /// Records that are not in the journal yet: [`Recorded::run`] writes them.
    uncommitted: Vec<Record>,
    daemons: Option<Daemons>,
    requests: u64,
    /// The log, each line with its time and level.
    log: Vec<String>,
    folders: Vec<(RunId, String)>,
    /// The runs that were launched, with their workers' names.
    pub launched: Vec<(RunId, String)>,
}

impl Recorded {
    /// A manager that has just started, three days before noon.
    pub fn new() -> Self {
        Self::with(("", ""), "")
    }

    /// The same with a text of the configuration replaced, and with more rules, which replace those of the same name.
    pub fn with((replaced, replacement): (&str, &str), more_rules: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("forecast");
        fs::create_dir_all(root.join("rules")).expect("a folder");
        let now = Timestamp::now();
        let noon = Timestamp::from_second(now.as_second() / 60 * 60).expect("this minute");
        let ports = free_ports();
        let utc = noon.to_zoned_datetime(TimeZone::UTC);
        let by = |minutes| {
            utc.checked_sub(SignedDuration::from_mins(minutes))
                .expect("earlier")
                .strftime("%H:%M")
                .to_string()
        };
        let config = CONFIG
            .replacen(replaced, replacement, 1)
            .replace("ROOT", &root.display().to_string())
            .replace("MANAGER_PORT", &ports.0.to_string())
            .replace("WORKERS_PORT", &ports.1.to_string())
            .replace("HALF_PAST_ELEVEN", &by(30))
            .replace("NOON", &by(0));
        fs::write(root.join("nowcast.yaml"), config).expect("the configuration");
        fs::write(root.join("rules/next_workers.lua"), format!("{RULES}{more_rules}")).expect("the rules");
        let (config, _) = config::load(&root.join("nowcast.yaml")).expect("a good configuration");
        let rules = RuleSet::of(&config).load(None).expect("good rules");
        let seconds = noon.as_second().rem_euclid(86_400);
        let zone = TimeZone::fixed(
            Offset::from_seconds(43_200 - i32::try_from(seconds).expect("of a day")).expect("half a day"),
        );
        let start = noon - SignedDuration::from_hours(72);
        let journal = Journal::open(&config.journal.folder).expect("a new journal");
        let mut system = Self {
            folder,
            ports,
            noon,
            now: start.to_zoned_datetime(zone.clone()),
            zone,
            looked_at: start,
            state: State::new(Arc::new(config.policy()), Checklist::default()),
            rules,
            journal: Some(journal),
            uncommitted: Vec::new(),
            daemons: None,
            requests: 0,
            log: Vec::new(),
            folders: Vec::new(),
            launched: Vec::new(),
        };
        let loaded = Event::RulesLoaded { hash: system.rules.hash().to_owned(), files: system.rules.files() };
        system.happens(loaded);
        system.happens(Event::Due);
        system
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("forecast")
    }

    /// It becomes that time of today (`11:30`), or of an earlier day (`-1 11:30`); what is due until then is done.
    pub fn at(&mut self, time: &str) -> &mut Self {
        let (days, time) =
            time.split_once(' ').map_or((0, time), |(days, time)| (days.parse().expect("days"), time));
        let time: civil::Time = time.parse().expect("a time of day");
        let after_noon =
            time.duration_since(civil::time(12, 0, 0, 0)) + SignedDuration::from_hours(24 * days);
        let until = self.noon + after_noon;
        assert!(until >= self.now.timestamp(), "time does not go back");
        while let Some(due) = self.state.next_due_by_wall_clock(self.looked_at).filter(|due| *due <= until) {
            let at = due.max(self.now.timestamp());
            self.now = at.to_zoned_datetime(self.zone.clone());
            self.looked_at = at;
            self.happens(Event::Due);
        }
        self.now = until.to_zoned_datetime(self.zone.clone());
        self
    }

    /// A worker's message, from the oldest of its runs that has not reported.
    pub fn says(&mut self, source: &str, r#type: &str, payload: &str) -> &mut Self {
        let message = Message::new(source, r#type, pyyaml::read(payload).expect("YAML"));
        self.hears(message.encode().as_bytes())
    }

    /// Bytes that come over the wire.
    pub fn hears(&mut self, body: &[u8]) -> &mut Self {
        self.requests += 1;
        let request = RequestId(self.requests);
        let message = Message::decode(body);
        self.happens(Event::Request(Request { id: request, ticket: None, body: body.to_vec(), message }));
        self
    }

    /// The latest run of a worker.
    pub fn run_of(&self, worker: &str) -> RunId {
        self.launched.iter().rfind(|(_, name)| name == worker).expect("a run of it").0
    }

    /// The latest launch of a worker that is pending.
    pub fn pending_run_of(&self, worker: &str) -> RunId {
        let is_it = |run: &&nowcast_core::Run| run.worker.name() == worker && !run.is_running();
        self.state.runs.values().rfind(is_it).expect("a pending launch of it").id
    }

    /// The join that was opened last.
    pub fn open_join(&self) -> Number {
        self.state.joins.open().last().expect("an open join").id
    }

    /// The oldest parked item.
    pub fn parked(&self) -> Number {
        *self.state.parked.keys().next().expect("something parked")
    }

    /// The hold that was given last.
    pub fn hold(&self) -> Number {
        *self.state.holds.keys().next_back().expect("a hold")
    }

    /// The latest run of a worker ends.
    pub fn ends(&mut self, worker: &str, ending: Ending) -> &mut Self {
        let run = self.run_of(worker);
        self.happens(Event::RunEnded { run, ending, ended_at: None });
        self
    }

    /// A worker reports and ends with status 0.
    pub fn finishes(&mut self, worker: &str, r#type: &str, payload: &str) -> &mut Self {
        self.says(worker, r#type, payload).ends(worker, Ending::Status(0))
    }

    /// What the operator `ana` asks for.
    pub fn asks(&mut self, command: Command) -> &mut Self {
        self.happens(Event::Command { call: None, user: "ana".into(), command, historical_checklist: None });
        self
    }

    pub fn launches(&mut self, worker: &str, arguments: &[&str]) -> &mut Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let worker = NextWorker::new(format!("nowcast.workers.{worker}"), arguments);
        self.asks(Command::Launch { worker, rerun_of: None, origin: None })
    }

    /// Launch a worker in a cycle.
    pub fn launches_in(&mut self, cycle: &str, worker: &str, arguments: &[&str]) -> &mut Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut worker = NextWorker::new(format!("nowcast.workers.{worker}"), arguments);
        worker.options.cycle = Some(CycleOption::Label(Cycle::parse(cycle).expect("a label")));
        self.asks(Command::Launch { worker, rerun_of: None, origin: None })
    }

    pub fn moment(&self, time: &str) -> Timestamp {
        let time: civil::Time = time.parse().expect("a time of day");
        self.noon + time.duration_since(civil::time(12, 0, 0, 0))
    }

    /// The last number that was given to anything.
    pub fn last_number(&self) -> u64 {
        self.state.last_number
    }

    /// The folder of a run that was launched.
    pub fn run_folder(&self, run: RunId) -> RunFolder {
        let (_, folder) =
            self.folders.iter().find(|(launched, _)| *launched == run).expect("it was launched");
        RunFolder::new(self.root().join("checklist.journal/runs").join(folder), run.0.to_string())
    }

    /// The wall clock is set by a span.
    pub fn sets_clock(&mut self, span: SignedDuration) -> &mut Self {
        for span in [SignedDuration::ZERO, span] {
            self.now = &self.now + span;
            let boot_time = Some(BootTime { boot: BootId(1), uptime: SignedDuration::from_hours(100) });
            self.decide(Event::Due, &DecisionTime { wall: self.now.clone(), boot_time });
        }
        self
    }

    /// The manager exits if nothing is left to do.
    pub fn exits_when_idle(&mut self) -> &mut Self {
        self.state.exit_when_idle = true;
        for effect in end_if_idle(&self.state) {
            self.note(effect);
        }
        self
    }

    pub fn happens(&mut self, event: Event) -> Option<nowcast_core::Answer> {
        self.decide(event, &self.now.clone().into())
    }

    fn decide(&mut self, event: Event, time: &DecisionTime) -> Option<nowcast_core::Answer> {
        let mut given = None;
        for effect in decide(&mut self.state, event, &self.rules, time) {
            match effect {
                Effect::Journal(record) => self.uncommitted.push(*record),
                Effect::Launch { run, folder, worker, .. } => {
                    let path = self.root().join("checklist.journal/runs").join(&folder);
                    fs::create_dir_all(&path).expect("a run's folder");
                    fs::write(path.join("output.log"), format!("{} starts\n", worker.name()))
                        .expect("its output");
                    self.folders.push((run, folder));
                    self.launched.push((run, worker.name().to_owned()));
                }
                Effect::Answer { answer, .. } => given = Some(answer),
                other => self.note(other),
            }
        }
        given
    }

    fn note(&mut self, effect: Effect) {
        if let Effect::Log(line) = effect {
            self.log.push(format!("{} {} {}", self.now.strftime("%H:%M:%S"), line.level, line.text));
        }
    }

    fn commit(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.commit(&std::mem::take(&mut self.uncommitted)).expect("kept");
        }
    }

    /// All daemons run.
    pub fn with_daemons(&mut self) -> &mut Self {
        let journal = self.root().join("checklist.journal");
        let broker = zmq::Context::new().socket(zmq::ROUTER).expect("a socket");
        broker.bind(&format!("tcp://127.0.0.1:{}", self.ports.1)).expect("bound");
        let mut scheduler = Presence::of(nowcast::scheduler::NAME);
        assert!(scheduler.announce(&journal));
        let control = Control::bind(&journal, Listener::Manager).expect("bound");
        self.daemons = Some(Daemons { control, _broker: broker, _scheduler: scheduler });
        self
    }

    /// Close the manager's journal.
    pub fn without_manager(&mut self) -> &mut Self {
        self.commit();
        self.journal = None;
        let folder = self.root().join("checklist.journal");
        let is_free = || journal::holder(&folder).is_none().then_some(());
        // A command that another test is starting has the lock until it executes its program.
        wait_for("the lock of the journal", is_free, || folder.display().to_string());
        self
    }

    /// Run a command beside this system at noon and return its transcript.
    pub fn run(&mut self, arguments: &[&str]) -> String {
        self.commit();
        let offset = self.noon.as_second().rem_euclid(86_400) - 43_200;
        let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
        let mut command = command(&self.root(), arguments);
        command
            .env("TZ", format!("FIX{sign}{:02}:{:02}:{:02}", offset / 3_600, offset / 60 % 60, offset % 60));
        let text = transcript_while(command, || self.serve());
        assert!(
            Timestamp::now() < self.noon + SignedDuration::from_secs(LATEST),
            "the commands took too long"
        );
        self.normalised(&text)
    }

    /// Answers the operators' commands that have come.
    fn serve(&mut self) {
        let Some(mut daemons) = self.daemons.take() else { return };
        let mut items = daemons.control.poll_items();
        zmq::poll(&mut items, 2).expect("polled");
        for (call, Call { user, command }) in daemons.control.receive() {
            let answer = match command {
                None => nowcast_core::Answer::done("the manager works", Vec::new()),
                Some(command) => self.answer(call, user, command),
            };
            daemons.control.answer(call, &answer);
        }
        self.daemons = Some(daemons);
    }

    fn answer(&mut self, call: CallId, user: String, command: Command) -> nowcast_core::Answer {
        let historical_checklist = match &command {
            Command::Retry { message: Some(number), historical_checklist: true } => {
                let journal = self.journal.as_ref().expect("a manager");
                Some(journal.checklist_before(Number(number.0 + 1)).expect("known").into())
            }
            _ => None,
        };
        let event = Event::Command { call: Some(call), user, command, historical_checklist };
        let answer = self.happens(event).expect("each is answered");
        self.commit();
        answer
    }

    pub fn log_lines(&self) -> usize {
        self.log.len()
    }

    /// The log from a line on, as if it were always the same day.
    pub fn log_from(&self, first: usize) -> String {
        // Deadlines are said in the zone of what is expected.
        let text =
            replaced(&self.log[first..].join("\n"), r"(by|received) (\d{4}-\d\d-\d\d \d\d:\d\d)", |found| {
                let civil: civil::DateTime = found[2].replace(' ', "T").parse().expect("a moment");
                let moment = civil.to_zoned_datetime(TimeZone::UTC).expect("a moment");
                let moment = moment.with_time_zone(self.zone.clone());
                format!("{} {}", &found[1], moment.strftime("%Y-%m-%d %H:%M"))
            });
        dates_normalised(&text, self.noon, &self.zone)
    }

    /// Write moments, folders and ports as if they were always the same, in the same width.
    fn normalised(&self, text: &str) -> String {
        let text = text.replace(&self.folder.path().display().to_string(), "/srv");
        let text = [(self.ports.0, "43430"), (self.ports.1, "43440")]
            .iter()
            .fold(text, |text, (port, placeholder)| text.replace(&port.to_string(), placeholder));
        normalised(&text, self.noon, &self.zone)
    }
}

fn replaced(text: &str, pattern: &str, with: impl Fn(&Captures) -> String) -> String {
    Regex::new(pattern).expect("a pattern").replace_all(text, with).into_owned()
}

fn normalised(text: &str, noon: Timestamp, zone: &TimeZone) -> String {
    let there = NOON.to_zoned_datetime(TimeZone::UTC).expect("a moment");
    let shift = there.timestamp().duration_since(noon);
    let shifted = |moment: Timestamp| moment + shift;
    // What is counted from the moment at which the command was run has fractions; nothing else has.
    let text = replaced(text, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", |found| {
        let moment = shifted(found[0].parse().expect("a moment"));
        let hour = Timestamp::from_second(moment.as_second() / 3_600 * 3_600).expect("that hour");
        if found.get(1).is_some() { hour } else { moment }.to_string()
    });
    let text = replaced(&text, r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[-+]\d\d:\d\d\[[-+]\d\d:\d\d\]", |found| {
        let civil: civil::DateTime = found[1].parse().expect("a moment");
        let moment = civil.to_zoned_datetime(zone.clone()).expect("a moment").timestamp();
        shifted(moment)
            .to_zoned_datetime(TimeZone::UTC)
            .strftime("%Y-%m-%dT%H:%M:%S+00:00[+00:00]")
            .to_string()
    });
    let text = replaced(&text, r"(\d{4}-\d\d-\d\d \d\d:\d\d) UTC", |found| {
        let civil: civil::DateTime = found[1].replace(' ', "T").parse().expect("a moment");
        let moment = civil.to_zoned_datetime(TimeZone::UTC).expect("a moment").timestamp();
        shifted(moment).to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
    });
    let text = dates_normalised(&text, noon, zone);
    // A running run was launched 17 minutes ago, and some more since noon.
    let text =
        replaced(&text, r"(^|[^\d:])(17|18|19|20|21|22):\d\d\b", |found| format!("{}17:00", &found[1]));
    // Its bar grows meanwhile.
    let text =
        replaced(&text, r"(17:00 of ~40:00 +)[█░]{10}", |found| format!("{}████░░░░░░", &found[1]));
    let text = replaced(&text, r#""seconds": \d+\.\d{2,}"#, |_| r#""seconds": 1020.0"#.to_owned());
    replaced(&text, r"(?m)^(forecast  .* )12:0[0-5]$", |found| format!("{}12:00", &found[1]))
}

/// Write dates as if it were always the same day.
fn dates_normalised(text: &str, noon: Timestamp, zone: &TimeZone) -> String {
    let today = noon.to_zoned_datetime(zone.clone()).date();
    replaced(text, r"\b\d{4}-\d\d-\d\d\b", |found| {
        let date: civil::Date = found[0].parse().expect("a date");
        let is_near = date.duration_since(today).abs() <= SignedDuration::from_hours(24 * 10);
        let days = date.duration_since(today);
        if is_near { (NOON.date() + days).to_string() } else { found[0].to_owned() }
    })
}
