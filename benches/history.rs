//! How long the past of 100,000 runs takes to read for a forecast: `cargo bench --bench history`.
//!
//! `cargo bench --bench history -- 20000` makes a journal of so many runs instead. Prints the median of eleven readings, and what it takes
//! to draw the messages of every attempt, in processor time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nowcast::forecast::history::{PastRuns, SentMessages};
use nowcast::store::{History, Journal};
use nowcast_core::message::Message;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent, Speaker};
use nowcast_core::run::{RunReport, Stage};
use nowcast_core::{Change, Cycle, Ending, NextWorker, Number, Record, Run, TimePoint};
use pyyaml::Value;
use rustix::time::{ClockId, clock_gettime};

/// Runs of a day of a production system, each of another worker.
const A_DAY: u64 = 130;

const READINGS: usize = 11;

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let many = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    for has_cycles in [true, false] {
        let folder = folder.path().join(if has_cycles { "cycles" } else { "days" });
        let now = fill(&folder, many, has_cycles);
        measure(&folder, now, if has_cycles { "in cycles" } else { "without cycles" });
    }
}

fn measure(folder: &Path, now: Timestamp, what: &str) {
    let history = History::open(folder).expect("readable");
    let read = || {
        let start = cpu_time();
        let past = PastRuns::read(&history, &TimeZone::UTC, now, SignedDuration::MAX).expect("readable");
        (cpu_time().saturating_sub(start), past)
    };
    let (_, past) = read();
    let mut times: Vec<Duration> = (0..READINGS).map(|_| read().0).collect();
    times.sort_unstable();
    println!(
        "{} runs {what}: {} likenesses, {} cycles, read in {:.0?}",
        past.runs().len(),
        past.likenesses().len(),
        past.cycles().len(),
        times[READINGS / 2]
    );
    let mut messages = SentMessages::new(history);
    let start = cpu_time();
    let sent: usize =
        past.runs().iter().map(|run| messages.of(run).expect("readable").map_or(0, |sent| sent.len())).sum();
    let each = cpu_time().saturating_sub(start) / u32::try_from(past.runs().len()).unwrap_or(u32::MAX);
    println!("their {sent} messages: {each:.1?} for a run");
}

/// The processor time of this process, which other programs on the machine do not change.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("it counts from 0")
}

/// Write days of runs, a run a few minutes after the other. Return the moment of the last one.
fn fill(folder: &Path, many: u64, has_cycles: bool) -> Timestamp {
    let mut journal = Journal::open(folder).expect("a journal");
    let mut now = Timestamp::from_second(1_700_000_000).expect("a moment");
    let mut batch = Vec::new();
    for number in 0..many {
        now += SignedDuration::from_mins(11);
        batch.extend(run(number, now, has_cycles));
        if batch.len() >= 1_000 || number + 1 == many {
            journal.commit(&batch).expect("kept");
            batch.clear();
        }
    }
    now
}

/// A run that was launched, reported and ended: numbers that nothing else has, and three records.
fn run(index: u64, launched: Timestamp, has_cycles: bool) -> [Record; 3] {
    let [requested, id, reported, over] = [1, 2, 3, 4].map(|step| Number(4 * index + step));
    let zoned = |time: Timestamp| time.to_zoned_datetime(TimeZone::UTC);
    let end = launched + SignedDuration::from_secs(400 + (index % 97).cast_signed());
    let date = zoned(launched).date();
    let args =
        ["forecast2".to_owned(), "nowcast-green".to_owned(), "--run-date".to_owned(), date.to_string()];
    let worker = format!("make_plots_{}", index % A_DAY);
    let mut run = Run {
        id,
        worker: NextWorker::new(format!("nowcast.workers.{worker}"), args.to_vec()),
        cycle: has_cycles.then(|| Cycle::parse(&date.to_string()).expect("a label")),
        // The message of the run before caused it, but for the first of the day.
        cause: if index.is_multiple_of(A_DAY) { requested } else { Number(reported.0 - 4) },
        join: None,
        origin: None,
        attempt: 1,
        retry_of: None,
        stage: Stage::Launched { at: TimePoint::by_wall_clock(launched), folder: format!("{date}/{}", id.0) },
        report: None,
        sent: Vec::new(),
        stop_requested: None,
        is_restored: false,
    };
    let record = |number, at, event, run: &Run| {
        let changes = vec![Change::Run(Arc::new(run.clone()))];
        Record { number, at: zoned(at), event, changes }
    };
    let first = record(requested, launched, RecordedEvent::Due, &run);
    run.report = Some(RunReport { message: reported, r#type: "success nowcast-green".to_owned() });
    let message = record(reported, end, message(worker, &date.to_string(), id), &run);
    run.stage = Stage::Ended {
        launched: Some(launched),
        exited: Some(end),
        at: TimePoint::by_wall_clock(end + SignedDuration::from_millis(20)),
        ran: Some(end.duration_since(launched)),
        ending: Ending::Status(0),
        folder: format!("{date}/{}", id.0),
    };
    [first, message, record(over, end, RecordedEvent::RunEnded { run: id }, &run)]
}

fn message(worker: String, date: &str, run: Number) -> RecordedEvent {
    let files = (0..10).map(|file| Value::from(format!("/results/nowcast-green/{date}/SalishSea_{file}.nc")));
    let files: Vec<Value> = files.collect();
    let payload = [("run date".to_owned(), Value::from(date)), ("files".to_owned(), files.into())];
    let message = Message::new(worker, "success nowcast-green", payload.into_iter().collect());
    RecordedEvent::Message(Box::new(MessageRecord {
        ticket: None,
        body: message.encode().into_bytes(),
        message: Some(message),
        speaker: Speaker::Worker,
        run: Some(run),
        outcome: Outcome::Ruled,
        generation: 1,
        rule_location: None,
        join_request: None,
        keys_read: Vec::new(),
        reply: "ack".to_owned(),
        reply_payload: Value::Null,
    }))
}
