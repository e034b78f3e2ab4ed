//! The past that a forecast draws from, read from real journals.

use std::path::Path;
use std::sync::Arc;

use jiff::civil::{Weekday, date};
use jiff::{SignedDuration, Timestamp};
use nowcast::forecast::dates;
use nowcast::forecast::history::{CycleKey, HORIZON, PastCycle, PastEnd, PastRun, PastRuns, SentMessages};
use nowcast::forecast::like::Likeness;
use nowcast::store::journal::RunFilter;
use nowcast::store::{History, Journal};
use nowcast_core::message::Message;
use nowcast_core::record::RecordedEvent;
use nowcast_core::run::{RunReport, Stage, StopReason};
use nowcast_core::{Answer, Change, Command, Ending, NextWorker, Number, Record, Run, RunId, TimePoint};
use proptest::prelude::*;

use crate::decisions::story::{Story, cycle, in_cycle, launches, nothing, quiet, seconds, story, worker};
use crate::journal::day::{Day, steps};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// A journal of these records, and its past as it is read at a moment.
struct Read {
    past: PastRuns,
    history: History,
    folder: tempfile::TempDir,
}

fn read(records: &[Record], now: Timestamp, horizon: SignedDuration) -> Read {
    let folder = tempfile::tempdir().expect("a folder");
    Journal::open(folder.path()).expect("a new journal").commit(records).expect("kept");
    let history = History::open(folder.path()).expect("readable");
    let zone = jiff::tz::TimeZone::get("America/Vancouver").expect("a zone");
    let past = PastRuns::read(&history, &zone, now, horizon).expect("readable");
    Read { past, history, folder }
}

fn read_now(manager: &Story) -> Read {
    read(&manager.records, manager.now.timestamp(), HORIZON)
}

impl Read {
    fn run(&self, id: RunId) -> &PastRun {
        self.past.find(id).expect("a past run")
    }

    fn cycle(&self, id: RunId) -> &PastCycle {
        self.past.cycle(self.run(id).cycle)
    }

    fn key(&self, id: RunId) -> &CycleKey {
        &self.cycle(id).key
    }

    /// Return what a run sent: how many seconds after the launch, the type, and the payload as YAML.
    fn sent(&self, id: RunId) -> Option<Vec<(i64, String, String)>> {
        let history = History::open(self.folder.path()).expect("readable");
        let sent = SentMessages::new(history).of(self.run(id)).expect("readable")?;
        let shown = |payload| pyyaml::write(payload, pyyaml::Keys::AsGiven).trim().to_owned();
        let sent = sent.iter();
        let sent = sent.map(|sent| (sent.after.as_secs(), sent.r#type.to_string(), shown(&sent.payload)));
        Some(sent.collect())
    }
}

fn with_args(name: &str, args: &[&str]) -> NextWorker {
    NextWorker { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..worker(name) }
}

/// The worker sends success with a payload, and its run ends a minute later.
fn succeeds(manager: &mut Story, run: RunId, payload: &str) {
    let source = manager.state.runs[&run].worker.name().to_owned();
    let mut message = Message::new(source, "success", pyyaml::read(payload).expect("YAML"));
    message.run = Some(run.0.to_string());
    manager.hears_message(message);
    manager.passes(MINUTE);
    manager.ends(run, Ending::Status(0));
}

fn day(month: i8, day: i8) -> CycleKey {
    CycleKey::Day(date(2026, month, day))
}

fn censored(minutes: i64) -> PastEnd {
    PastEnd::Censored { after: seconds(minutes * MINUTE), is_open: false }
}

#[test]
fn a_run_is_read_with_its_likeness_cycle_messages_and_end() {
    let mut manager = story(|message, _| {
        let mut plots = with_args("upload", &["nowcast", "--run-date=2026-03-13"]);
        plots.options.cycle.clone_from(&in_cycle("upload", "2026-03-14T06").options.cycle);
        Ok(if message.source == "feeds" { launches(vec![plots]) } else { nothing() })
    });
    let feeds = manager.wants(in_cycle("feeds", "2026-03-14T06"));
    manager.passes(10 * MINUTE);
    let halfway = manager.hears_of(feeds, "feeds", "halfway");
    let plots = halfway.run();
    manager.passes(10 * MINUTE);
    manager.hears_of(feeds, "feeds", "success");
    manager.ends(feeds, Ending::Status(0));
    let launched = manager.now.timestamp() - seconds(20 * MINUTE);

    let read = read_now(&manager);
    let past = &read.past;
    assert_eq!(past.runs().iter().map(|run| run.id).collect::<Vec<_>>()[..2], [feeds, plots]);
    let run = read.run(feeds);
    assert_eq!(past.likenesses().get(run.like), &Likeness::of(&worker("feeds")));
    assert_eq!(read.key(feeds), &CycleKey::Label(cycle("2026-03-14T06")));
    assert_eq!((run.chain, run.attempt, run.launched), (feeds, 1, launched));
    let at = manager.now.timestamp();
    let ending = Ending::Status(0);
    assert_eq!(run.end, PastEnd::Ended { after: seconds(20 * MINUTE), at, ending });
    let types: Vec<&str> = run.messages.iter().map(|message| &*message.r#type).collect();
    assert_eq!(types, ["halfway", "success"]);
    assert_eq!(past.sender(run.messages[0].message).map(|run| run.id), Some(feeds));

    let run = read.run(plots);
    assert_eq!(run.cause, run_cause(&halfway.records));
    assert_eq!(run.cycle, read.run(feeds).cycle);
    assert_eq!(run.dates.args, Some(date(2026, 3, 13)));
    assert_eq!(run.dates.cycle, Some(date(2026, 3, 14)));
    let like =
        past.likenesses().find(&Likeness::of(&with_args("upload", &["nowcast", "--run-date=2027-01-31"])));
    assert_eq!(like, Some(run.like));
    let ids = |indexes: &[_]| indexes.iter().map(|index| past.run(*index).id).collect::<Vec<_>>();
    assert_eq!(ids(past.like(run.like))[0], plots);
    let of_cycle = past.find_cycle(&CycleKey::Label(cycle("2026-03-14T06"))).expect("known");
    assert_eq!(of_cycle.runs.len(), past.runs().len());
    assert_eq!(ids(of_cycle.like(run.like))[0], plots);
    assert_eq!((of_cycle.begun, of_cycle.weekday), (launched, Weekday::Saturday));
}

/// The number of the record of the message among these.
fn run_cause(records: &[Record]) -> Number {
    let is_message = |record: &&Record| matches!(record.event, RecordedEvent::Message(_));
    records.iter().find(is_message).expect("a message").number
}

#[test]
fn runs_whose_own_end_was_not_seen_are_censored_at_their_length() {
    let mut manager = quiet("{}");
    let [killed, unknown, open, lost, failed] =
        ["weather", "rivers", "ssh", "feeds", "mute"].map(|name| manager.wants(worker(name)));
    manager.passes(10 * MINUTE);
    manager.asks(Command::Kill { run: killed });
    manager.ends(killed, Ending::Killed(15));
    manager.ends(unknown, Ending::Unknown);
    manager.ends(failed, Ending::Status(3));
    let end = manager.time();
    manager.passes(10 * MINUTE);
    manager.ended(lost, Ending::Status(0), &end);
    let discarded = manager.wants(NextWorker { args: vec!["late".into()], ..worker("upload") });

    let Read { past, .. } = &read_now(&manager);
    let end_of = |id: RunId| past.find(id).expect("a past run").end.clone();
    assert_eq!(end_of(killed), censored(10));
    assert_eq!(end_of(unknown), censored(10));
    assert_eq!(end_of(open), PastEnd::Censored { after: seconds(20 * MINUTE), is_open: true });
    let (after, at) = (seconds(10 * MINUTE), end.timestamp());
    assert_eq!(
        end_of(lost),
        PastEnd::Ended { after, at, ending: Ending::Status(0) },
        "not when it was learned"
    );
    assert_eq!(end_of(failed), PastEnd::Ended { after, at, ending: Ending::Status(3) });
    assert_eq!(end_of(discarded).after(), seconds(0));
    assert!(past.find_cycle(&day(3, 14)).expect("a day").is_open);
}

#[test]
fn runs_that_were_never_launched_are_left_out() {
    let mut manager = quiet("{}");
    let mut delayed = worker("rivers");
    delayed.options.delay = Some(seconds(HOUR));
    let pending = manager.wants(delayed.clone());
    let discarded = manager.wants(delayed);
    manager.asks(Command::Discard { number: discarded });
    let launched = manager.wants(worker("rivers"));
    let Read { past, .. } = read_now(&manager);
    assert_eq!(past.runs().iter().map(|run| run.id).collect::<Vec<_>>(), [launched]);
    assert!(past.find(pending).is_none());
    assert_eq!(past.cycles().len(), 1);
}

#[test]
fn without_cycles_a_chain_of_causes_belongs_to_the_local_day_of_its_first_launch() {
    let mut manager = story(|message, _| {
        Ok(if message.source == "weather" { launches(vec![worker("feeds")]) } else { nothing() })
    });
    // In UTC it is the next day already.
    manager.passes(19 * HOUR);
    let late = manager.wants(worker("weather"));
    manager.passes(2 * HOUR);
    succeeds(&mut manager, late, "~");
    let after_midnight = manager.state.runs.running().next().expect("feeds").id;
    let of_next_day = manager.wants(worker("rivers"));
    let read = read_now(&manager);
    assert_eq!(read.key(late), &day(3, 14));
    assert_eq!(read.key(after_midnight), &day(3, 14), "it began before midnight");
    assert_eq!(read.key(of_next_day), &day(3, 15));
    assert_eq!(read.run(after_midnight).dates.day, date(2026, 3, 14));
    assert_eq!(read.cycle(late).weekday, Weekday::Saturday);
    assert_eq!(read.cycle(of_next_day).weekday, Weekday::Sunday);
    assert_eq!(read.past.cycles().len(), 2);
}

#[test]
fn a_ring_of_launches_is_one_day_after_the_other() {
    let mut manager = story(|message, _| {
        let next = match message.source.as_str() {
            "weather" => "rivers",
            "rivers" => "weather",
            _ => return Ok(nothing()),
        };
        Ok(launches(vec![worker(next)]))
    });
    let mut run = manager.wants(worker("weather"));
    let mut runs = vec![run];
    // Both run for 12 hours.
    for _ in 0..5 {
        manager.passes(12 * HOUR - MINUTE);
        succeeds(&mut manager, run, "~");
        run = manager.state.runs.running().next().expect("the next one").id;
        runs.push(run);
    }
    let read = read_now(&manager);
    let days: Vec<&CycleKey> = runs.iter().map(|run| read.key(*run)).collect();
    // From 04:00 on, weather is launched in the morning, rivers in the evening.
    let [first, second, third] = [14, 15, 16].map(|number| day(3, number));
    assert_eq!(days, [&first, &first, &second, &second, &third, &third]);
}

#[test]
fn a_worker_that_is_launched_again_until_its_data_are_there_stays_in_its_day() {
    let mut manager = story(|message, _| {
        Ok(if message.r#type == "failure" { launches(vec![worker("weather")]) } else { nothing() })
    });
    manager.passes(17 * HOUR);
    let mut run = manager.wants(worker("weather"));
    for _ in 0..5 {
        manager.passes(HOUR);
        manager.hears_of(run, "weather", "failure");
        manager.ends(run, Ending::Status(1));
        run = manager.state.runs.running().next().expect("the next one").id;
    }
    let read = read_now(&manager);
    assert_eq!(manager.now.date(), date(2026, 3, 15));
    assert_eq!(read.key(run), &day(3, 14));
    assert_eq!(read.cycle(run).like(read.run(run).like).len(), 6);
}

#[test]
fn a_retry_is_a_later_attempt_of_the_same_chain_and_day() {
    let mut manager = quiet("{rivers: {retries: 1}}");
    manager.passes(19 * HOUR);
    let first = manager.wants(worker("rivers"));
    manager.passes(2 * HOUR);
    manager.hears_of(first, "rivers", "crash");
    manager.ends(first, Ending::Status(1));
    let second = manager.state.runs.running().next().expect("a retry").id;
    let read = read_now(&manager);
    assert_eq!((read.run(first).attempt, read.run(second).attempt), (1, 2));
    assert_eq!(read.run(second).chain, first);
    assert_eq!(read.key(second), &day(3, 14));
}

#[test]
fn runs_before_the_horizon_are_left_out() {
    let mut manager = quiet("{}");
    let old = manager.wants(worker("rivers"));
    succeeds(&mut manager, old, "~");
    manager.passes(HOUR);
    let new = manager.wants(worker("rivers"));
    let within = |horizon| {
        let Read { past, .. } = read(&manager.records, manager.now.timestamp(), seconds(horizon));
        past.runs().iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(within(2 * HOUR), [old, new]);
    assert_eq!(within(HOUR), [new]);
    // All events are before that moment, and the runs of the last one have higher numbers than it.
    assert_eq!(within(-1), []);
}

#[test]
fn a_drawn_attempt_has_its_messages_with_their_times_and_payloads() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    manager.passes(5);
    manager.hears("weather", "clear checklist", "~");
    manager.passes(5);
    manager.hears("weather", "success", "{files: [a_20260314.nc], 2026-03-14: done}");
    manager.passes(5);
    manager.ends(run, Ending::Status(0));
    let read = read_now(&manager);
    let expected =
        [(5, "clear checklist", "null\n..."), (10, "success", "files:\n- a_20260314.nc\n2026-03-14: done")];
    let expected = expected.map(|(after, r#type, payload)| (after, r#type.to_owned(), payload.to_owned()));
    assert_eq!(read.sent(run).as_deref(), Some(&expected[..]));
}

/// The simulated core reports crashes itself, and operators' acts are not predicted.
#[test]
fn what_the_worker_did_not_send_is_left_out_of_a_drawn_attempt() {
    let mut manager = quiet("{}");
    let crashed = manager.wants(worker("rivers"));
    manager.passes(MINUTE);
    manager.ends(crashed, Ending::Status(1));
    manager.passes(MINUTE);
    let sent_for = manager.wants(worker("ssh"));
    let (source, r#type, payload) = ("ssh".into(), "success".into(), "7".into());
    manager.asks(Command::Send { source, r#type, payload, cycle: None });
    let read = read_now(&manager);
    for (run, r#type) in [(crashed, "crash"), (sent_for, "success")] {
        assert_eq!(&*read.run(run).messages[0].r#type, r#type);
        assert_eq!(read.sent(run).as_deref(), Some(&[][..]));
    }
}

#[test]
fn a_message_that_was_decided_after_the_end_is_drawn_before_it() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("rivers"));
    manager.passes(MINUTE);
    let end = manager.time();
    // No manager was running.
    manager.passes(HOUR);
    manager.hears_of(run, "rivers", "success");
    manager.ended(run, Ending::Status(0), &end);
    assert_eq!(read_now(&manager).sent(run).expect("kept")[0].0, MINUTE);
}

#[test]
fn a_message_that_was_parked_undecided_has_the_payload_of_its_retry() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("rivers"));
    manager.passes(MINUTE);
    let mut message = Message::new("rivers", "success", pyyaml::read("{a: 1}").expect("YAML"));
    message.run = Some(run.0.to_string());
    manager.hears_poison(&message.encode());
    manager.passes(HOUR);
    let (Answer { .. }, _) = manager.asks(Command::Retry { message: None, historical_checklist: false });
    let sent = read_now(&manager).sent(run);
    assert_eq!(sent.as_deref(), Some(&[(MINUTE, "success".to_owned(), "a: 1".to_owned())][..]));
}

#[test]
fn an_attempt_of_which_a_message_was_removed_cannot_be_drawn() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("rivers"));
    manager.hears_of(run, "rivers", "success");
    let read = read_now(&manager);
    let message = read.run(run).messages[0].message;
    rusqlite::Connection::open(read.folder.path().join("journal.sqlite"))
        .and_then(|database| {
            database.execute("DELETE FROM events WHERE number = ?1", [message.0.cast_signed()])
        })
        .expect("removed");
    assert_eq!(read.sent(run), None);
    assert_eq!(read.history.received_message(message).expect("readable").map(|message| message.at), None);
}

/// A run as an old program wrote it: it has no messages but its report, and no times but those that the manager knew.
#[test]
fn old_entries_are_read_as_far_as_they_go() {
    for version in 1..=7 {
        let fixture = format!("tests/fixtures/journal-version-{version}/journal.sqlite");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture),
            folder.path().join("journal.sqlite"),
        )
        .expect("copied");
        drop(Journal::open(folder.path()).expect("migrated"));
        assert_is_all(&History::open(folder.path()).expect("readable"));
    }
}

/// Check that the past has each launched run of the journal, as the journal has it.
fn assert_is_all(history: &History) {
    let now = Timestamp::from_second(1_900_000_000).expect("a moment");
    let past =
        PastRuns::read(history, &jiff::tz::TimeZone::UTC, now, now.duration_since(Timestamp::UNIX_EPOCH));
    let past = past.expect("readable");
    let mut runs = history.runs(&RunFilter::default()).expect("readable");
    runs.reverse();
    runs.retain(|run| match run.stage {
        Stage::Pending { .. } => false,
        Stage::Launched { .. } => true,
        Stage::Ended { launched, .. } => launched.is_some(),
    });
    assert_eq!(past.runs().len(), runs.len());
    for (read, run) in past.runs().iter().zip(runs) {
        assert_eq!(
            (read.id, read.attempt, read.chain, read.cause),
            (run.id, run.attempt, run.chain(), run.cause)
        );
        assert_eq!(past.likenesses().get(read.like), &Likeness::of(&run.worker));
        assert_eq!(read.dates.args, dates::first(&run.worker.args));
        let key = &past.cycle(read.cycle).key;
        assert_eq!(
            run.cycle.clone().map(CycleKey::Label).as_ref(),
            Some(key).filter(|key| matches!(key, CycleKey::Label(_)))
        );
        let sent: Vec<Number> = read.messages.iter().map(|message| message.message).collect();
        let mut expected: Vec<Number> =
            run.sent.iter().chain(&run.report).map(|report| report.message).collect();
        expected.sort_unstable();
        assert_eq!(sent, expected);
        let is_censored = run.stop_requested.is_some()
            || !matches!(&run.stage, Stage::Ended { ending, .. } if *ending != Ending::Unknown);
        match &read.end {
            PastEnd::Ended { after, at, ending } => {
                assert!(!is_censored);
                assert_eq!(Some(*at), run.exited());
                assert!(matches!(&run.stage, Stage::Ended { ending: stored, .. } if stored == ending));
                let learned = run.end_learned_at().expect("it ended");
                assert_eq!(Some(*after), run.duration(learned.steady));
            }
            PastEnd::Censored { is_open, .. } => {
                assert!(is_censored);
                assert_eq!(*is_open, run.is_running());
            }
        }
    }
}

/// A run that was launched with these arguments, and ended.
fn run_of(index: u64, args: Vec<String>) -> Record {
    let at = TimePoint::by_wall_clock(Timestamp::from_second(1_790_000_000).expect("a moment"));
    let run = Run {
        id: Number(3 * index + 2),
        worker: NextWorker::new("nowcast.workers.make_plots", args),
        cycle: None,
        cause: Number(3 * index + 1),
        join: None,
        origin: None,
        attempt: 1,
        retry_of: None,
        stage: Stage::Launched { at, folder: String::new() },
        report: Some(RunReport { message: Number(3 * index + 3), r#type: "\"line\n\u{1}é".into() }),
        sent: Vec::new(),
        stop_requested: Some(StopReason::Killed("ana \"\\".into())),
        is_restored: false,
    };
    let at = at.wall.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    Record {
        number: Number(3 * index + 1),
        at,
        event: RecordedEvent::Due,
        changes: vec![Change::Run(Arc::new(run))],
    }
}

/// Arguments with what JSON escapes, dates, and what could be taken for either.
fn args() -> impl Strategy<Value = Vec<String>> {
    let part = prop_oneof![
        Just("2026-11-24"),
        Just("20261124"),
        Just("24nov26"),
        Just("\\"),
        Just("\""),
        Just("\n"),
        Just("\u{1}"),
        Just("u0001"),
        Just("é"),
        Just("1"),
        Just("--run-date="),
    ];
    let arg = prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat());
    prop::collection::vec(arg, 0..4)
}

proptest! {
    // Each makes a journal on the disk.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_the_arguments_a_run_is_like_those_that_differ_by_dates_only(all in prop::collection::vec(args(), 1..30)) {
        let records: Vec<Record> = (0..).zip(all).map(|(index, args)| run_of(index, args)).collect();
        let Read { history, .. } = read(&records, Timestamp::from_second(1_790_000_000).expect("a moment"), HORIZON);
        assert_is_all(&history);
    }

    #[test]
    fn the_past_has_each_launched_run_of_random_days(steps in steps()) {
        let day = Day::of(&steps);
        let Read { history, .. } = read(&day.records, day.time().timestamp(), HORIZON);
        assert_is_all(&history);
    }
}
