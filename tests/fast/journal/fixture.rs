//! A database of version 1, as it was made once and for all: each later version must read it.
//!
//! `tests/fixtures/journal-version-1/journal.sqlite` was made by
//! `cargo test --test fast -- --ignored make_the_fixture`. It is never made again: when the version goes up, a fixture of the
//! new one is made beside it and this one stays.

use std::fs;
use std::path::{Path, PathBuf};

use nowcast::store::journal::EventFilter;
use nowcast::store::{History, Journal};
use nowcast_core::record::{Outcome, Speaker, What};
use nowcast_core::{Change, Number, Ticket};
use pyyaml::Value;

use crate::journal::day::{Day, Step, text};
use crate::journal::recovery::state_of;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture() -> PathBuf {
    fixtures().join("journal-version-1")
}

#[test]
#[ignore = "makes the fixture, which stays as it is"]
fn make_the_fixture() {
    assert!(!fixture().exists(), "the fixture is frozen");
    let mut day = Day::new();
    day.take(&Step::RulesLoaded(1));
    day.message("weather", "success", "{rule: launch both, 2026-03-14: \"12:30\", z: 1, a: 2.5}");
    day.take(&Step::RunEnds { which: 0, status: 3 });
    day.take(&Step::Hours(1));
    day.message("weather", "need", "weather forecast");
    day.message("weather", "success", "{rule: join, list: [~, yes, 2026-03-14]}");
    day.message("upload", "success", "{rule: fail}");
    day.take(&Step::Hold { worker: 0, hours: Some(48) });
    day.take(&Step::Set { payload: 6 });
    day.take(&Step::RulesRefused);
    day.take(&Step::Send { worker: 1, payload: 7 });
    day.take(&Step::Garbage(b"]".to_vec()));
    let mut journal = Journal::open(&fixture()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    drop(journal);
    fs::remove_file(fixture().join("lock")).expect("removed");
    for record in &day.records {
        println!("{record:?}\n");
    }
    println!("{}", day.checklist());
}

/// `tests/fixtures/journal-version-2` was made by `cargo test --test fast -- --ignored make_version_2`: what must have
/// come in time and has not, and what was launched on schedule. It stays, too.
#[test]
#[ignore = "makes the fixture, which stays as it is"]
fn make_version_2() {
    let fixture = fixtures().join("journal-version-2");
    assert!(!fixture.exists(), "the fixture is frozen");
    let mut day = Day::new();
    // Known from 04:43 on; of the 15th on a whole window.
    day.take(&Step::Hours(1));
    for _ in 0..9 {
        day.take(&Step::Hours(3));
    }
    day.message("weather", "failure", "null");
    day.take(&Step::Schedule(1));
    for _ in 0..8 {
        day.take(&Step::Hours(3));
    }
    let mut journal = Journal::open(&fixture).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    drop(journal);
    fs::remove_file(fixture.join("lock")).expect("removed");
    println!("{:#?}", day.state.expected);
}

#[test]
fn what_is_late_or_scheduled_in_a_journal_of_version_2_is_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(fixtures().join("journal-version-2/journal.sqlite"), folder.path().join("journal.sqlite"))
        .expect("copied");
    let journal = Journal::open(folder.path()).expect("understood");
    let state = state_of(&journal.load().expect("readable"));
    let scheduled: Vec<_> =
        state.scheduled.iter().map(|(item, due)| (item.as_str(), due.to_string())).collect();
    assert_eq!(scheduled, [("rivers", "2026-03-15T15:40:42.123456789Z".to_owned())]);
    let known: Vec<_> = state
        .expected
        .values()
        .map(|one| {
            let late = one.late.as_ref().map(ToString::to_string);
            (&*one.worker, &*one.r#type, one.last_received.map(|came| came.to_string()), late)
        })
        .collect();
    assert_eq!(
        known,
        [
            ("rivers", "success", None, Some("2026-03-15T09:00:00-07:00[America/Vancouver]".to_owned())),
            (
                "weather",
                "failure",
                Some("2026-03-15T15:40:42.123456789Z".to_owned()),
                Some("2026-03-16T06:30:00-07:00[America/Vancouver]".to_owned())
            ),
        ]
    );
}

/// A copy, since opening it may change it.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(fixture().join("journal.sqlite"), folder.path().join("journal.sqlite")).expect("copied");
    folder
}

#[test]
fn a_journal_of_version_1_is_understood() {
    let folder = copy();
    let journal = Journal::open(folder.path()).expect("understood");
    let recovered = journal.load().expect("readable");
    assert_eq!((recovered.last_number, recovered.checklist_event), (20, Number(18)));
    let checklist = "weather forecast:\n  rule: join\n  2026-03-14: !!set\n    b: null\n    a: null\n  z: 1\n  a: 2.5\n  \
                     list:\n  - null\n  - true\n  - 2026-03-14\nrivers: !!set\n  c: null\n";
    assert_eq!(text(&recovered.checklist), checklist);
    let first = "weather forecast:\n  rule: launch both\n  2026-03-14: '12:30'\n  z: 1\n  a: 2.5\n";
    assert_eq!(text(&journal.checklist_before(Number(10)).expect("known")), first);

    let state = state_of(&recovered);
    let run = |id| state.runs.get(&Number(id)).expect("an open run");
    assert_eq!(state.runs.keys().map(|id| id.0).collect::<Vec<_>>(), [4, 8, 12]);
    assert_eq!(
        (run(4).worker.module.as_str(), run(4).worker.args.as_slice()),
        ("package.ssh", &["12".to_owned()][..])
    );
    assert_eq!((run(8).worker.name(), run(8).attempt, run(8).retry_of), ("rivers", 2, Some(Number(3))));
    assert_eq!(run(12).report.as_ref().map(|report| report.message), Some(Number(13)));
    let join = state.joins.get(Number(11)).expect("the join");
    assert_eq!(
        (join.name.as_str(), join.requirements().as_str(), join.counted.as_slice()),
        ("all", "rivers, ssh", &[Number(18)][..])
    );
    assert!(state.parked[&Number(13)].reason.ends_with("next_workers.lua:3: no"));
    assert_eq!(state.holds[&Number(15)].target.to_string(), "worker weather");
    assert_eq!(state.rules, (1, "hash 1".to_owned()));

    let needed = journal
        .recorded(Some(Ticket { epoch: u64::MAX - 7, number: 2 }), None)
        .expect("readable")
        .expect("known");
    assert_eq!((needed.number, needed.need), (Number(9), Some(Value::from("weather forecast"))));
}

#[test]
fn the_history_of_version_1_is_understood() {
    let folder = copy();
    let too_old = History::open(folder.path()).expect_err("readers change nothing").to_string();
    assert!(too_old.contains("version 1"), "{too_old}");
    drop(Journal::open(folder.path()).expect("brought up to date"));
    let history = History::open(folder.path()).expect("understood");
    assert!(history.rule_files(1).expect("readable").is_empty(), "they were not kept then");
    let events = history.events(&EventFilter::default()).expect("readable");
    let numbers: Vec<u64> = events.iter().map(|record| record.number.0).collect();
    assert_eq!(numbers, [20, 19, 18, 17, 16, 14, 13, 10, 9, 7, 5, 2, 1]);
    assert!(
        events.iter().all(|record| record.at.to_string().ends_with(":15.123456789-07:00[America/Vancouver]")
            || record.at.to_string() == "2026-03-14T04:40:12.123456789-07:00[America/Vancouver]")
    );
    let message = |number| match history.event(Number(number)).expect("readable").expect("known").what {
        What::Message(message) => message,
        other => panic!("{number} is {other:?}"),
    };
    assert_eq!((message(7).speaker, message(7).outcome), (Speaker::Manager, Outcome::Retried(Number(8))));
    assert_eq!((message(18).speaker, message(20).message), (Speaker::Operator, None));
    assert_eq!(message(2).keys_read, ["weather forecast: 12"]);
    assert!(message(20).reply_payload.as_str().is_some_and(|text| text.contains("not YAML")));
    let command = history.event(Number(14)).expect("readable").expect("known");
    assert!(
        matches!(&command.what, What::Command { user, answer, .. } if user == "ana" && answer.starts_with("launches of worker weather"))
    );
    let set = history.event(Number(16)).expect("readable").expect("known");
    assert!(matches!(set.changes.as_slice(), [Change::ChecklistSet { .. }]));
    let rules = history.open_now().expect("readable").rules.expect("told");
    assert_eq!(rules.refused, Some((Number(17), "next_workers.lua:7: no".to_owned())));
    let ended = history.run(Number(3)).expect("readable").expect("known");
    assert!(ended.is_closed());
}
