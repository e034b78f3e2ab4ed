//! What the journal costs beside a bare SQLite commit of one row on the same disk: `cargo bench --bench journal`.
//!
//! Prints medians and ratios. `cargo bench --bench journal -- 100000` fills it with so many messages instead of a million.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, ZonedDateTime};
use nowcast::store::journal::{EventFilter, RunFilter};
use nowcast::store::{History, Journal};
use nowcast_core::checklist::Checklist;
use nowcast_core::message::Message;
use nowcast_core::notes::Note;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent, Speaker};
use nowcast_core::run::{RunReport, Stage};
use nowcast_core::{Change, Cycles, Ending, NextWorker, Number, Record, Run, Ticket, TimePoint};
use pyyaml::{Map, Value};
use rusqlite::Connection;

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let many = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut bare = Bare::new(folder.path());
    let mut bench = Bench::new(&folder.path().join("journal"));

    bench.fill(1_000);
    println!("with {} messages in the journal:", bench.messages);
    bench.compare(&mut bare);
    let start = Instant::now();
    bench.fill(many);
    println!("filled at {:?} a message", start.elapsed() / u32::try_from(many).unwrap_or(u32::MAX));
    println!("with {} messages in the journal:", bench.messages);
    bench.compare(&mut bare);
    bench.checkpoints();
    bench.starts("");

    let entry = Value::from("about fifty bytes of text in each of the entries");
    let large: Map =
        (0..80_000).map(|number| (Value::from(format!("entry {number}")), entry.clone())).collect();
    bench.replace_checklist(large);
    println!("with a checklist of 5 MB besides:");
    bench.compare(&mut bare);
    bench.fill(bench.messages + 30_000);
    bench.starts(" with a checklist of 5 MB");
    bench.history(&folder.path().join("journal"));
}

/// One table, one row a commit.
struct Bare {
    connection: Connection,
}

impl Bare {
    fn new(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("bare.sqlite")).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)",
            )
            .expect("a table");
        Self { connection }
    }

    fn commit(&mut self) {
        let transaction = self.connection.transaction().expect("begun");
        transaction
            .prepare_cached("INSERT INTO rows (body) VALUES (?1)")
            .and_then(|mut statement| statement.execute([[0_u8; 100]]))
            .expect("a row");
        transaction.commit().expect("committed");
    }
}

struct Bench {
    journal: Option<Journal>,
    folder: std::path::PathBuf,
    checklist: Checklist,
    cycles: Cycles,
    now: ZonedDateTime,
    last_number: u64,
    messages: u64,
    running: Vec<Run>,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        Self {
            journal: Some(Journal::open(folder).expect("a journal")),
            folder: folder.to_owned(),
            checklist: Checklist::default(),
            cycles: Cycles::default(),
            now: ZonedDateTime::now(),
            last_number: 0,
            messages: 0,
            running: Vec::new(),
        }
    }

    fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().expect("open")
    }

    /// A message that changes the checklist, ends the report of a run and launches one.
    fn record(&mut self) -> Record {
        self.last_number += 1;
        self.messages += 1;
        let number = Number(self.last_number);
        let worker = format!("worker_{}", self.messages % 40);
        let payload: Value = [("run date", "2026-03-14"), ("state", "done")].into_iter().collect();
        let mut message = Message::new(&*worker, "success", payload.clone());
        message.id = Some(format!("0190{:028x}", self.messages));
        let key = Value::from(format!("key {}", self.messages % 40));
        self.checklist.update(&key, payload.clone());
        let at = TimePoint::by_wall_clock(self.now.timestamp());
        let noted = Change::Noted(Note {
            message: number,
            worker: worker.clone(),
            r#type: "success".into(),
            at: at.wall,
            steady: None,
            run: self.running.last().map(|run| run.id),
            origin: None,
            cycle: None,
            without_payload: false,
        });
        noted.apply_to_cycles(&mut self.cycles, &payload);
        let mut changes = vec![Change::PayloadMerged { key }, noted];
        if let Some(mut run) = self.running.pop() {
            let ending = Ending::Status(0);
            run.report = Some(RunReport { message: number, r#type: "success".into() });
            let (launched, ran) = (Some(at.wall), Some(SignedDuration::ZERO));
            run.stage =
                Stage::Ended { launched, exited: None, at, ran, ending, folder: "2026-03-14/8812".into() };
            changes.push(Change::Run(Arc::new(run)));
        }
        self.last_number += 1;
        let run = Run {
            id: Number(self.last_number),
            worker: NextWorker::new(format!("nowcast.workers.{worker}"), vec!["12".into(), "2.5km".into()]),
            cycle: None,
            cause: number,
            join: None,
            origin: None,
            attempt: 1,
            retry_of: None,
            stage: Stage::Launched { at, folder: "2026-03-14/8812".into() },
            report: None,
            sent: Vec::new(),
            stop_requested: None,
            is_restored: false,
        };
        self.running.push(run.clone());
        changes.push(Change::Run(Arc::new(run)));
        let event = RecordedEvent::Message(Box::new(MessageRecord {
            ticket: Some(Ticket { epoch: 7, number: self.messages }),
            body: message.encode().into_bytes(),
            message: Some(message),
            speaker: Speaker::Worker,
            run: Some(Number(self.last_number)),
            outcome: Outcome::Ruled,
            generation: 41,
            rule_location: Some("next_workers.lua:12".into()),
            join_request: None,
            keys_read: vec!["weather forecast: 12".into()],
            reply: "ack".into(),
            reply_payload: Value::Null,
        }));
        Record { number, at: self.now.clone(), event, changes }
    }

    fn batch(&mut self, size: usize) -> Vec<Record> {
        (0..size).map(|_| self.record()).collect()
    }

    /// Commits batches until there are so many messages, as a busy manager does.
    fn fill(&mut self, messages: u64) {
        while self.messages < messages {
            let batch = self.batch(512);
            self.journal().commit(&batch).expect("kept");
            self.tidy_if_untidy();
        }
        self.tidy();
    }

    fn tidy_if_untidy(&mut self) {
        if self.journal().is_untidy() {
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        let (checklist, cycles) = (self.checklist.to_value(), self.cycles.clone());
        while self.journal().tidy(&checklist, &cycles, None).expect("tidied") {}
    }

    fn compare(&mut self, bare: &mut Bare) {
        for size in [1, 64, 512] {
            let (mut theirs, mut ours, mut housekeeping) = (Vec::new(), Vec::new(), Duration::ZERO);
            let rounds = if size == 512 { 60 } else { 600 };
            for _ in 0..rounds {
                theirs.push(time(|| bare.commit()));
                let batch = self.batch(size);
                ours.push(time(|| self.journal().commit(&batch).expect("kept")));
                housekeeping += time(|| self.tidy_if_untidy());
            }
            let (theirs, worst) = (median(&mut theirs), *ours.iter().max().expect("some"));
            let ours = median(&mut ours);
            println!(
                "  batch of {size}: {ours:?}, worst {worst:?}, {:?} a message; bare commit of one row {theirs:?}; ratio {:.2}; \
                 housekeeping {:?} a batch",
                ours / u32::try_from(size).expect("small"),
                ours.as_secs_f64() / theirs.as_secs_f64(),
                housekeeping / rounds,
            );
        }
        let known = self.messages;
        let mut found: Vec<Duration> = (0..2_000)
            .map(|round| {
                let ticket = Ticket { epoch: 7, number: 1 + round * 7_919 % known };
                time(|| {
                    assert!(
                        self.journal().find_previous_reply(Some(ticket), None).expect("readable").is_some()
                    );
                })
            })
            .collect();
        let mut missing: Vec<Duration> = (0..2_000)
            .map(|round| {
                let ticket = Ticket { epoch: 8, number: round };
                let id = format!("0190{round:028}x");
                let key = Some(("worker_1", id.as_str()));
                time(|| {
                    assert!(
                        self.journal().find_previous_reply(Some(ticket), key).expect("readable").is_none()
                    );
                })
            })
            .collect();
        println!("  recorded: found {:?}, unknown {:?}", median(&mut found), median(&mut missing));
    }

    /// What one step of housekeeping costs, in a loop of small batches that is idle after each or always busy.
    fn checkpoints(&mut self) {
        for is_idle in [true, false] {
            let mut worst = Duration::ZERO;
            let mut commits: Vec<Duration> = Vec::new();
            let mut log = 0;
            for _ in 0..3_000 {
                let batch = self.batch(8);
                commits.push(time(|| self.journal().commit(&batch).expect("kept")));
                let step = time(|| if is_idle { self.tidy() } else { self.tidy_if_untidy() });
                worst = worst.max(step);
                let file = self.folder.join("journal.sqlite-wal");
                log = log.max(std::fs::metadata(file).map_or(0, |metadata| metadata.len()));
            }
            let most = commits.iter().max().copied().unwrap_or_default();
            println!(
                "  {}: batch of 8 {:?}, worst {most:?}; worst housekeeping {worst:?}; log up to {} kB",
                if is_idle { "idle after each batch" } else { "always busy" },
                median(&mut commits),
                log / 1000,
            );
        }
    }

    fn starts(&mut self, with: &str) {
        self.journal = None;
        let start = Instant::now();
        let journal = Journal::open(&self.folder).expect("the journal");
        let opened = start.elapsed();
        let recovered = journal.load().expect("readable");
        println!(
            "start at {} messages{with}: opened in {opened:?}, loaded after {:?}",
            self.messages,
            start.elapsed()
        );
        assert_eq!(Value::from(recovered.checklist), self.checklist.to_value());
        self.journal = Some(journal);
    }

    fn replace_checklist(&mut self, entries: Map) {
        self.checklist = Checklist::new(entries);
        self.last_number += 1;
        let changes = vec![Change::ChecklistReplaced { checklist: self.checklist.to_value() }];
        let event = RecordedEvent::ChecklistRead { why: "a bench".into() };
        let record = Record { number: Number(self.last_number), at: self.now.clone(), event, changes };
        self.journal().commit(&[record]).expect("kept");
    }

    fn history(&self, folder: &Path) {
        let history = History::open(folder).expect("readable");
        let print = |what: &str, ask: &dyn Fn()| println!("  history: {what} {:?}", time(ask));
        print("open now", &|| drop(history.open_now().expect("readable")));
        let filter =
            EventFilter { worker: Some("worker_7".into()), limit: Some(20), ..EventFilter::default() };
        print("the last 20 messages of a worker", &|| {
            assert_eq!(history.events(&filter).expect("readable").len(), 20);
        });
        let filter = RunFilter { worker: Some("worker_7".into()), limit: Some(20), ..RunFilter::default() };
        print("the last 20 runs of a worker", &|| {
            assert_eq!(history.runs(&filter).expect("readable").len(), 20);
        });
        let args = ["12".to_owned(), "2.5km".to_owned()];
        print("its usual duration", &|| {
            assert!(history.usual_duration("worker_7", &args).expect("readable").is_some());
        });
        print("the checklist of half-way", &|| {
            drop(history.checklist_before(Number(self.last_number / 2)).expect("known"));
        });
    }
}

fn time(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
