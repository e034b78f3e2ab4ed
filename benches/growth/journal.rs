//! Message cost against the length of the journal.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, ToSpan, ZonedDateTime};
use nowcast::store::Journal;
use nowcast_core::checklist::Checklist;
use nowcast_core::message::Message;
use nowcast_core::notes::Note;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent, Speaker};
use nowcast_core::run::{RunReport, Stage};
use nowcast_core::{Change, Cycles, Ending, NextWorker, Number, Record, Run, Ticket, TimePoint};
use pyyaml::Value;

use super::curve::Curve;
use super::page::Section;
use super::settings::Settings;
use super::subject::Subject;
use super::texts::count;
use crate::support::system::system;

/// Events in the journal.
const SIZES: [u32; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The time over which they are spread.
const DAYS: i32 = 30;

/// Registered workers, which the messages come from in turns.
const WORKERS: [&str; 4] = ["sleep", "awaken", "rotate_logs", "keyless"];

/// Runs of which each launches the next, until a message comes that nothing was launched for.
const CHAIN: u64 = 20;

/// Records in one commit.
const BATCH: u32 = 1_000;

pub(super) fn measure(settings: &Settings) -> Vec<Section> {
    let subjects: Vec<Subject> = settings.of(&SIZES).into_iter().map(subject).collect();
    let curve = Curve {
        name: "journal",
        title: "Length of the journal",
        axis: "events",
        many: "64 in flight",
        setup: "Half of the events are messages, most of which report for a run and launch another; the others are the ends of these runs. \
            The sizes are those at the start: measuring adds up to 300,000 events to each journal.",
        reason: "Events are appended, and the manager recognises most messages as new without a look at the disk.",
        is_logarithmic: true,
    };
    vec![curve.measure(settings, &subjects)]
}

/// Start a system whose journal has so many events.
pub(super) fn subject(events: u32) -> Subject {
    let mut system = system().prepare();
    eprintln!("a journal of {} events", count(events.into()));
    fill(&system.path("checklist.journal"), events);
    system.start_broker();
    system.start_manager(&[]);
    Subject::new(f64::from(events), count(events.into()), system)
}

/// Keep so many events, in large commits as a busy manager makes them.
fn fill(folder: &Path, events: u32) {
    let mut journal = Journal::open(folder).expect("a journal");
    let mut history = Past::new(events);
    let mut left = events;
    while left > 0 {
        let batch: Vec<Record> = (0..left.min(BATCH)).map(|before| history.event(left - before)).collect();
        journal.commit(&batch).expect("kept");
        left -= left.min(BATCH);
        if left == 0 || journal.is_untidy() {
            let checklist = history.checklist.to_value();
            while journal.tidy(&checklist, &history.cycles, None).expect("tidied") {}
        }
    }
}

/// Events that look like those of a month. Each message reports for the run that the one before launched, and launches the
/// next, for a [`CHAIN`]; then the reported run ends.
struct Past {
    checklist: Checklist,
    cycles: Cycles,
    now: ZonedDateTime,
    step: SignedDuration,
    last_number: u64,
    messages: u64,
    /// The run that is under way, and the one that has reported.
    running: Option<Run>,
    reported: Option<Run>,
}

impl Past {
    fn new(events: u32) -> Self {
        let now = ZonedDateTime::now();
        let start = now.checked_sub(DAYS.days()).expect("a month ago");
        let step = now.duration_since(&start) / i32::try_from(events).expect("a small number");
        let (checklist, cycles) = (Checklist::default(), Cycles::default());
        Self {
            checklist,
            cycles,
            now: start,
            step,
            last_number: 0,
            messages: 0,
            running: None,
            reported: None,
        }
    }

    fn number(&mut self) -> Number {
        self.last_number += 1;
        Number(self.last_number)
    }

    fn time(&self) -> TimePoint {
        TimePoint::by_wall_clock(self.now.timestamp())
    }

    /// The next event, of so many that are left. At the end, no run is left open.
    fn event(&mut self, left: u32) -> Record {
        self.now = self.now.checked_add(self.step).expect("before now");
        match self.reported.take() {
            Some(run) => self.run_ended(run),
            None => self.message(left > 3),
        }
    }

    fn run_ended(&mut self, mut run: Run) -> Record {
        let number = self.number();
        if let Stage::Launched { at: launched, folder } = run.stage {
            let (launched, ran) = (Some(launched.wall), Some(self.step));
            run.stage = Stage::Ended {
                launched,
                exited: None,
                at: self.time(),
                ran,
                ending: Ending::Status(0),
                folder,
            };
        }
        let event = RecordedEvent::RunEnded { run: run.id };
        Record { number, at: self.now.clone(), event, changes: vec![Change::Run(Arc::new(run))] }
    }

    fn message(&mut self, launches: bool) -> Record {
        let number = self.number();
        self.messages += 1;
        let at = usize::try_from(self.messages).expect("a number that fits") % WORKERS.len();
        let (worker, next) = (WORKERS[at], WORKERS[(at + 1) % WORKERS.len()]);
        let payload: Value = [("run date", "2026-03-14"), ("state", "done")].into_iter().collect();
        let mut message = Message::new(worker, "success", payload.clone());
        message.id = Some(format!("0190{:028x}", self.messages));
        let key = Value::from(worker);
        self.checklist.update(&key, payload.clone());
        let noted = Change::Noted(Note {
            message: number,
            worker: worker.to_owned(),
            r#type: "success".into(),
            at: self.now.timestamp(),
            steady: None,
            run: self.running.as_ref().map(|run| run.id),
            origin: None,
            cycle: None,
            without_payload: false,
        });
        noted.apply_to_cycles(&mut self.cycles, &payload);
        let mut changes = vec![Change::PayloadMerged { key }, noted];
        if let Some(mut run) = self.running.take() {
            run.report = Some(RunReport { message: number, r#type: "success".into() });
            changes.push(Change::Run(Arc::new(run.clone())));
            self.reported = Some(run);
        }
        let launches = launches && !self.messages.is_multiple_of(CHAIN);
        self.running = launches.then(|| self.launched(next, number));
        changes.extend(self.running.iter().map(|run| Change::Run(Arc::new(run.clone()))));
        let event = RecordedEvent::Message(Box::new(MessageRecord {
            ticket: Some(Ticket { epoch: 7, number: self.messages }),
            body: message.encode().into_bytes(),
            message: Some(message),
            speaker: Speaker::Worker,
            run: self.reported.as_ref().map(|run| run.id),
            outcome: Outcome::Ruled,
            generation: 1,
            rule_location: Some("next_workers.lua:12".into()),
            join_request: None,
            keys_read: vec!["weather forecast: 12".into()],
            reply: "ack".into(),
            reply_payload: Value::Null,
        }));
        Record { number, at: self.now.clone(), event, changes }
    }

    fn launched(&mut self, worker: &str, cause: Number) -> Run {
        let id = self.number();
        Run {
            cycle: None,
            id,
            worker: NextWorker::new(format!("nowcast.workers.{worker}"), vec!["12".into(), "2.5km".into()]),
            cause,
            join: None,
            origin: None,
            attempt: 1,
            retry_of: None,
            stage: Stage::Launched { at: self.time(), folder: format!("2026-03-14/{}", id.0) },
            report: None,
            sent: Vec::new(),
            stop_requested: None,
            is_restored: false,
        }
    }
}
