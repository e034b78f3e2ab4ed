//! Frozen journals of each version of the format: the current program must migrate and read them.
//!
//! `tests/fixtures/journal-version-N` was written by the program of its time and is never changed. `journal-version-2-operated`
//! has every kind of operator's command and ending, and everything that can be open.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nowcast::store::journal::{EventFilter, RunFilter};
use nowcast::store::{History, Journal};
use nowcast_core::Join;
use nowcast_core::cycles::NoteScope;
use nowcast_core::expected::Expected;
use nowcast_core::hold::Hold;
use nowcast_core::parked::{Parked, ParkedItem};
use nowcast_core::record::{Outcome, RecordedEvent, Speaker};
use nowcast_core::run::{Stage, StopReason};
use nowcast_core::{Change, Command, Cycle, Cycles, Ending, Event, NextWorker, Now, Number, Run, Ticket};
use pyyaml::Value;
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::journal::day::{Day, Step, text};
use crate::journal::recovery::state_of;

/// Versions whose names version 3 changes.
const BEFORE_VERSION_3: [&str; 3] = ["journal-version-1", "journal-version-2", "journal-version-2-operated"];

const FIXTURES: [&str; 9] = [
    "journal-version-1",
    "journal-version-2",
    "journal-version-2-operated",
    "journal-version-3",
    "journal-version-4",
    "journal-version-5",
    "journal-version-6",
    "journal-version-7",
    "journal-version-8",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).join("journal.sqlite")
}

/// A copy, since opening a journal migrates it.
pub fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(fixture(name), folder.path().join("journal.sqlite")).expect("copied");
    folder
}

fn migrated(name: &str) -> (tempfile::TempDir, Journal, History) {
    let folder = copy(name);
    let journal = Journal::open(folder.path()).expect("migrated");
    let history = History::open(folder.path()).expect("readable");
    (folder, journal, history)
}

fn database(folder: &tempfile::TempDir) -> Connection {
    Connection::open(folder.path().join("journal.sqlite")).expect("the database")
}

#[test]
fn every_fixture_is_tested() {
    let folders =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")).expect("fixtures");
    let mut names: Vec<_> =
        folders.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, FIXTURES);
}

/// Read every value of a column as a `T` and compare what this program would write.
fn assert_written_as<T: DeserializeOwned + Serialize>(database: &Connection, select: &str) -> usize {
    let mut statement = database.prepare(select).expect("a query");
    let texts: Vec<String> =
        statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts");
    for text in &texts {
        let value: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(serde_json::to_string(&value).expect("JSON"), *text);
    }
    texts.len()
}

#[test]
fn a_migrated_journal_is_as_this_program_would_have_written_it() {
    for name in FIXTURES {
        let (folder, ..) = migrated(name);
        let database = database(&folder);
        let rows = assert_written_as::<Run>(&database, "SELECT body FROM runs")
            + assert_written_as::<Join>(&database, "SELECT body FROM joins")
            + assert_written_as::<Parked>(&database, "SELECT body FROM parked")
            + assert_written_as::<Hold>(&database, "SELECT body FROM holds")
            + assert_written_as::<Expected>(&database, "SELECT body FROM expectations")
            + assert_written_as::<Outcome>(&database, "SELECT outcome FROM events WHERE kind = 'message'")
            + assert_written_as::<Command>(&database, "SELECT detail FROM events WHERE kind = 'command'")
            + assert_written_as::<Vec<Change>>(
                &database,
                "SELECT checklist FROM events WHERE checklist IS NOT NULL",
            )
            + assert_written_as::<Cycles>(&database, "SELECT notes FROM snapshots WHERE notes IS NOT NULL");
        assert!(rows >= 5, "{name}: {rows}");
    }
}

/// The rows of a table in their order, with the JSON in them as values.
fn rows(database: &Connection, table: &str) -> Vec<Vec<Json>> {
    let mut statement = database.prepare(&format!("SELECT * FROM {table}")).expect("a query");
    let columns = statement.column_count();
    let value = |value: SqlValue| match value {
        SqlValue::Null => Json::Null,
        SqlValue::Integer(number) => number.into(),
        SqlValue::Real(number) => number.into(),
        SqlValue::Text(text) => serde_json::from_str(&text).unwrap_or(Json::String(text)),
        SqlValue::Blob(bytes) => bytes.into(),
    };
    statement
        .query_map([], |row| (0..columns).map(|column| row.get(column).map(value)).collect())
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("values")
}

/// Rename as version 3 does, but by the structure of the value and not by its text.
fn renamed(value: Json, key: &str) -> Json {
    const KEYS: [(&str, &str); 15] = [
        ("told_to_end", "stop_requested"),
        ("waiting", "pending"),
        ("place", "location"),
        ("wait_for", "requires"),
        ("counted", "received"),
        ("noticed_since", "observed_since"),
        ("came", "last_received"),
        ("judged", "evaluated_until"),
        ("tried_again", "retried"),
        ("again", "rerun_of"),
        ("checklist_then", "historical_checklist"),
        // Of a parked message or parked launches; a command has a number there.
        ("what", "item"),
        ("drop", "discard"),
        ("dropped", "discarded"),
        ("time_limit", "timeout"),
    ];
    let new_name = |name: &str| KEYS.into_iter().find(|(old, _)| *old == name).map(|(_, new)| new.to_owned());
    match value {
        Json::Object(object) => {
            let entry = |(name, value): (String, Json)| {
                let is_of_command = name == "what" && value.is_number();
                let new = if is_of_command { Some("number".to_owned()) } else { new_name(&name) };
                let value = renamed(value, &name);
                (new.unwrap_or(name), value)
            };
            Json::Object(object.into_iter().map(entry).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(|item| renamed(item, "")).collect()),
        Json::String(name) if ["command", "ending", "told_to_end"].contains(&key) => {
            Json::String(new_name(&name).unwrap_or(name))
        }
        Json::String(text) if key == "reason" => {
            let heading =
                "the rule for this message failed, so nothing is launched after it: upload: (success)\n";
            Json::String(text.strip_prefix(heading).map(str::to_owned).unwrap_or(text))
        }
        other => other,
    }
}

/// Add to a parked message as which event it counted in joins.
fn counted_as_itself(mut row: Vec<Json>) -> Vec<Json> {
    let number = row[0].clone();
    let message = row.iter_mut().find_map(|column| column.pointer_mut("/item/message"));
    if let Some(Json::Object(message)) = message {
        message.insert("counted_as".to_owned(), number);
    }
    row
}

#[test]
fn a_migration_changes_names_and_adds_what_a_parked_message_counted_as_and_a_snapshot() {
    const TABLES: [(&str, &str); 10] = [
        ("events", "events"),
        ("runs", "runs"),
        ("joins", "joins"),
        ("parked", "parked"),
        ("holds", "holds"),
        ("rules", "rules"),
        ("snapshots", "snapshots"),
        ("rule_files", "rule_files"),
        ("scheduled", "scheduled"),
        ("expected", "expectations"),
    ];
    for name in BEFORE_VERSION_3 {
        let (folder, journal, _) = migrated(name);
        drop(journal);
        let new = database(&folder);
        let old = copy(name);
        let old = database(&old);
        for (before, after) in TABLES {
            let is_there = "SELECT count(*) FROM sqlite_master WHERE name = ?1";
            let count: i64 = old.query_row(is_there, [before], |row| row.get(0)).expect("a count");
            let before = if count == 0 { Vec::new() } else { rows(&old, before) };
            let expected: Vec<Vec<Json>> = before
                .into_iter()
                .map(|row| row.into_iter().map(|value| renamed(value, "")).collect())
                .collect();
            let expected: Vec<Vec<Json>> = expected.into_iter().map(counted_as_itself).collect();
            let found = rows(&new, after);
            // The last snapshot is that of the notes.
            let more = usize::from(after == "snapshots");
            assert_eq!(found.len(), expected.len() + more, "{name}: {after}");
            for (found, expected) in found.iter().zip(&expected) {
                let (kept, added) = found.split_at(expected.len());
                assert_eq!(kept, expected, "{name}: {after}");
                let is_unset = |value: &Json| value.is_null() || value.as_i64() == Some(0);
                assert!(added.iter().all(is_unset), "{name}: {after}: {added:?}");
            }
        }
    }
}

#[test]
fn the_messages_of_a_migrated_journal_are_recognised() {
    for name in FIXTURES {
        let (folder, journal, _) = migrated(name);
        let database = database(&folder);
        let mut keys = database
            .prepare("SELECT number, ticket_epoch, ticket_number, message_id, worker FROM events WHERE kind = 'message'")
            .expect("a query");
        let mut rows = keys.query([]).expect("rows");
        let mut recognised = 0;
        while let Some(row) = rows.next().expect("a row") {
            let number =
                |column| row.get::<_, Option<i64>>(column).expect("a number").map(i64::cast_unsigned);
            let text = |column| row.get::<_, Option<String>>(column).expect("a text");
            let ticket = number(1).zip(number(2)).map(|(epoch, number)| Ticket { epoch, number });
            let (id, worker) = (text(3), text(4));
            let source_and_id = worker.as_deref().zip(id.as_deref());
            let found = journal.find_previous_reply(ticket, source_and_id).expect("readable");
            let expected = number(0).filter(|_| ticket.is_some() || source_and_id.is_some());
            assert_eq!(found.map(|reply| reply.number.0), expected, "{name}");
            recognised += usize::from(expected.is_some());
        }
        assert!(recognised >= 1, "{name}: {recognised}");
    }
}

#[test]
fn a_journal_of_version_1_is_migrated() {
    let (_folder, journal, _) = migrated("journal-version-1");
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
        (join.name.as_str(), join.requirements().as_str(), join.received.as_slice()),
        ("all", "rivers, ssh", &[Number(18)][..])
    );
    assert_eq!(state.parked[&Number(13)].reason, "next_workers.lua:3: no");
    assert_eq!(state.holds[&Number(15)].target.to_string(), "worker weather");
    assert_eq!(state.rules, (1, "hash 1".to_owned()));

    let needed = journal
        .find_previous_reply(Some(Ticket { epoch: u64::MAX - 7, number: 2 }), None)
        .expect("readable")
        .expect("known");
    assert_eq!((needed.number, needed.need), (Number(9), Some(Value::from("weather forecast"))));
}

#[test]
fn the_history_of_version_1_is_read() {
    let folder = copy("journal-version-1");
    let too_old = History::open(folder.path()).expect_err("readers change nothing").to_string();
    assert!(too_old.contains("version 1"), "{too_old}");
    let (_folder, _, history) = migrated("journal-version-1");
    assert!(history.rule_files(1).expect("readable").is_empty(), "version 1 has no files of rules");
    let events = history.events(&EventFilter::default()).expect("readable");
    let numbers: Vec<u64> = events.iter().map(|record| record.number.0).collect();
    assert_eq!(numbers, [20, 19, 18, 17, 16, 14, 13, 10, 9, 7, 5, 2, 1]);
    assert!(
        events.iter().all(|record| record.at.to_string().ends_with(":15.123456789-07:00[America/Vancouver]")
            || record.at.to_string() == "2026-03-14T04:40:12.123456789-07:00[America/Vancouver]")
    );
    let message = |number| match history.event(Number(number)).expect("readable").expect("known").event {
        RecordedEvent::Message(message) => message,
        other => panic!("{number} is {other:?}"),
    };
    assert_eq!((message(7).speaker, message(7).outcome), (Speaker::Manager, Outcome::Retried(Number(8))));
    assert_eq!((message(18).speaker, message(20).message), (Speaker::Operator, None));
    assert_eq!(message(2).keys_read, ["weather forecast: 12"]);
    assert_eq!(message(2).rule_location.as_deref(), Some("next_workers.lua:12"));
    assert!(message(20).reply_payload.as_str().is_some_and(|text| text.contains("not YAML")));
    let command = history.event(Number(14)).expect("readable").expect("known");
    assert!(
        matches!(&command.event, RecordedEvent::Command { user, answer, .. } if user == "ana" && answer.starts_with("launches of worker weather"))
    );
    let set = history.event(Number(16)).expect("readable").expect("known");
    assert!(matches!(set.changes.as_slice(), [Change::ChecklistSet { .. }]));
    let rules = history.open_now().expect("readable").rules.expect("rules");
    assert_eq!(rules.refused, Some((Number(17), "next_workers.lua:7: no".to_owned())));
    let ended = history.run(Number(3)).expect("readable").expect("known");
    assert!(ended.is_closed());
}

#[test]
fn the_schedule_and_the_expectations_of_version_2_are_read() {
    let (_folder, journal, history) = migrated("journal-version-2");
    let state = state_of(&journal.load().expect("readable"));
    let scheduled: Vec<(&str, Vec<String>)> = state
        .scheduled
        .iter()
        .map(|(item, due)| (item.as_str(), due.iter().map(|due| due.to_string()).collect()))
        .collect();
    assert_eq!(scheduled, [("rivers", vec!["2026-03-15T15:40:42.123456789Z".to_owned()])]);
    let expected: Vec<_> = state
        .expected
        .values()
        .map(|one| {
            let late = one.late.as_ref().map(ToString::to_string);
            let received = one.last_received.map(|received| received.to_string());
            let since = (one.observed_since.to_string(), one.evaluated_until.to_string());
            (&*one.worker, &*one.r#type, since, received, late)
        })
        .collect();
    let since = |evaluated: &str| ("2026-03-14T12:40:15.123456789Z".to_owned(), evaluated.to_owned());
    assert_eq!(
        expected,
        [
            (
                "rivers",
                "success",
                since("2026-03-15T16:00:00Z"),
                None,
                Some("2026-03-15T09:00:00-07:00[America/Vancouver]".to_owned())
            ),
            (
                "weather",
                "failure",
                since("2026-03-16T13:30:00Z"),
                Some("2026-03-15T15:40:42.123456789Z".to_owned()),
                Some("2026-03-16T06:30:00-07:00[America/Vancouver]".to_owned())
            ),
        ]
    );
    let run = history.run(Number(6)).expect("readable").expect("known");
    assert_eq!(run.stop_requested, Some(StopReason::Timeout));
}

#[test]
fn the_runs_of_version_2_are_read() {
    let (_folder, journal, history) = migrated("journal-version-2-operated");
    let run = |id| history.run(Number(id)).expect("readable").expect("known");
    let ending = |id| match run(id).stage {
        Stage::Ended { ending, .. } => ending,
        other => panic!("run {id} has not ended: {other:?}"),
    };
    assert_eq!(ending(3), Ending::Killed(9));
    assert_eq!(ending(4), Ending::OnHost("Slurm says COMPLETED".to_owned()));
    assert_eq!(ending(8), Ending::Unknown);
    assert_eq!(
        (ending(14), run(14).stop_requested),
        (Ending::Status(0), Some(StopReason::Killed("ana".into())))
    );
    assert_eq!(ending(19), Ending::NotStarted("no such file".to_owned()));
    assert_eq!(ending(47), Ending::Discarded);
    assert_eq!(
        (run(47).has_succeeded(), run(4).has_succeeded(), run(3).has_succeeded()),
        (None, Some(true), Some(false))
    );
    assert_eq!(run(3).worker.location.as_deref(), Some("next_workers.lua:14"));
    assert_eq!(run(25).stop_requested, Some(StopReason::Timeout));
    assert!([54, 66].into_iter().all(|id| matches!(run(id).stage, Stage::Pending { .. })));
    let filter = RunFilter { state: nowcast::store::journal::RunState::Failed, ..RunFilter::default() };
    let failed: Vec<u64> = history.runs(&filter).expect("readable").iter().map(|run| run.id.0).collect();
    assert_eq!(failed, [19, 8, 3]);
    assert_eq!(history.last_success("ssh").expect("readable").map(|run| run.id), Some(Number(4)));
    let open: Vec<u64> = state_of(&journal.load().expect("readable")).runs.keys().map(|id| id.0).collect();
    assert_eq!(open, [23, 25, 26, 27, 31, 36, 50, 54, 57, 58, 66]);
}

#[test]
fn the_joins_parked_launches_and_commands_of_version_2_are_read() {
    let (_folder, journal, history) = migrated("journal-version-2-operated");
    let state = state_of(&journal.load().expect("readable"));
    let join = state.joins.get(Number(35)).expect("the join");
    let pending: Vec<_> = join.pending.iter().map(|launch| (launch.worker.name(), launch.cause.0)).collect();
    assert_eq!(pending, [("rivers", 37), ("ssh", 37)]);
    assert_eq!(
        (join.requirements().as_str(), join.received.as_slice()),
        ("ssh", &[Number(37), Number(41)][..])
    );
    let names = |parked: &Parked| match &parked.item {
        ParkedItem::Message { source, .. } => vec![source.clone()],
        ParkedItem::Launches { launches, .. } => {
            launches.iter().map(|launch| launch.worker.name().to_owned()).collect()
        }
    };
    assert_eq!(names(&state.parked[&Number(30)]), ["rivers", "ssh", "upload"]);
    assert_eq!(names(&state.parked[&Number(38)]), ["upload"]);
    assert_eq!(state.holds.keys().map(|id| id.0).collect::<Vec<_>>(), [52]);
    let closed_by = |id| history.numbered(Number(id)).expect("readable").parked.expect("parked").closed_by;
    assert_eq!((closed_by(18), closed_by(22), closed_by(38)), (Some(Number(24)), Some(Number(32)), None));

    let command = |number| match history.event(Number(number)).expect("readable").expect("known").event {
        RecordedEvent::Command { command, .. } => command,
        other => panic!("{number} is {other:?}"),
    };
    assert!(matches!(command(13), Command::Launch { rerun_of: Some(Number(4)), .. }));
    assert_eq!(command(24), Command::Release { number: Number(18) });
    assert_eq!(command(32), Command::Discard { number: Number(22) });
    assert_eq!(command(40), Command::Retry { message: None, historical_checklist: false });
    assert_eq!(command(43), Command::Retry { message: None, historical_checklist: true });
    let Command::Send { payload, .. } = command(61) else { panic!("not a message sent") };
    assert_eq!(payload, r#"{"command": "drop", what: 1, "place": 2}"#, "a text in a value is not a name");
}

#[test]
fn what_rules_launched_is_found_in_a_journal_of_version_2() {
    let (_folder, _, history) = migrated("journal-version-2-operated");
    let mut launches = Vec::new();
    history
        .calls(None, None, &mut |past, call| {
            let rule_outcome = past.rule_outcome(call.number)?;
            launches.push((call.number.0, rule_outcome.launches.len()));
            Ok(())
        })
        .expect("readable");
    // Those of #28 were parked and discarded, those of #33 are parked, those of #37 are pending in a join.
    let of = |number| launches.iter().find(|(call, _)| *call == number).map(|(_, count)| *count);
    assert_eq!([2, 20, 28, 33, 37].map(of), [Some(2); 5]);
}

#[test]
fn a_journal_of_version_3_is_read() {
    let (_folder, journal, history) = migrated("journal-version-3");
    let acknowledged = history.acknowledged_since(Number(0)).expect("readable");
    let [(run, acknowledgement)] = &acknowledged.into_iter().collect::<Vec<_>>()[..] else {
        panic!("not one acknowledged run")
    };
    assert_eq!((run.0, acknowledgement.user.as_str()), (8, "ana"));
    assert_eq!(acknowledgement.reason.as_deref(), Some("the disk was full"));
    let state = state_of(&journal.load().expect("readable"));
    let numbers = |numbers: Vec<Number>| numbers.into_iter().map(|number| number.0).collect::<Vec<_>>();
    let open = numbers(state.runs.keys().copied().collect());
    assert_eq!(open, [15, 19, 23, 25, 26, 27, 31, 42, 44]);
    assert_eq!(numbers(state.parked.keys().copied().collect()), [22, 33]);
    let join = state.joins.get(Number(30)).expect("the join");
    assert_eq!((join.requirements().as_str(), join.pending.len()), ("rivers, ssh", 2));
    assert_eq!(history.events(&EventFilter::default()).expect("readable").len(), 29);
}

#[test]
fn a_journal_of_version_4_is_read() {
    let (_folder, journal, history) = migrated("journal-version-4");
    let state = state_of(&journal.load().expect("readable"));
    let numbers = |numbers: Vec<Number>| numbers.into_iter().map(|number| number.0).collect::<Vec<_>>();
    assert_eq!(numbers(state.runs.keys().copied().collect()), [15, 19, 23, 25, 26, 27, 31, 42, 44]);
    assert_eq!(numbers(state.parked.keys().copied().collect()), [22, 33]);
    let ParkedItem::Message { counted_as, .. } = &state.parked[&Number(33)].item else { panic!("a message") };
    assert_eq!(*counted_as, Some(Number(33)));
    let hold = &state.holds[&Number(37)];
    assert_eq!(hold.until.map(|until| until.to_string()).as_deref(), Some("2026-03-16T12:40:18.123456789Z"));
    assert_eq!(history.events(&EventFilter::default()).expect("readable").len(), 29);
}

#[test]
fn a_journal_of_version_5_is_read() {
    let (_folder, journal, history) = migrated("journal-version-5");
    let state = state_of(&journal.load().expect("readable"));
    let numbers = |numbers: Vec<Number>| numbers.into_iter().map(|number| number.0).collect::<Vec<_>>();
    assert_eq!(numbers(state.runs.keys().copied().collect()), [15, 19, 23, 25, 26, 27, 31, 42, 44]);
    assert_eq!(numbers(state.parked.keys().copied().collect()), [22, 33]);
    let reading = history.clock().expect("readable").reading.expect("a reading of the clocks");
    assert_eq!(reading.wall.to_string(), "2026-03-14T11:40:12.123456789Z");
    assert_eq!(history.events(&EventFilter::default()).expect("readable").len(), 29);
}

#[test]
fn a_journal_of_version_6_is_read() {
    let (_folder, journal, history) = migrated("journal-version-6");
    let state = state_of(&journal.load().expect("readable"));
    let numbers = |numbers: Vec<Number>| numbers.into_iter().map(|number| number.0).collect::<Vec<_>>();
    assert_eq!(numbers(state.runs.keys().copied().collect()), [15, 19, 23, 25, 26, 27, 31, 42, 44]);
    assert!(state.runs.values().all(|run| run.cycle.is_none()));
    let of_cycle = EventFilter { cycle: Some("2026-03-14".to_owned()), ..EventFilter::default() };
    assert!(history.events(&of_cycle).expect("readable").is_empty());
    assert_eq!(history.events(&EventFilter::default()).expect("readable").len(), 29);
}

#[test]
fn a_journal_of_version_7_is_read() {
    let (_folder, journal, history) = migrated("journal-version-7");
    let state = state_of(&journal.load().expect("readable"));
    let numbers = |numbers: Vec<Number>| numbers.into_iter().map(|number| number.0).collect::<Vec<_>>();
    assert_eq!(numbers(state.runs.keys().copied().collect()), [15, 19, 23, 25, 26, 27, 31, 42, 44]);
    assert_eq!(numbers(state.parked.keys().copied().collect()), [22, 33]);
    let events = history.events(&EventFilter::default()).expect("readable");
    assert_eq!(events.len(), 29);
    assert!(events.iter().all(|record| record.changes.iter().all(Change::is_of_checklist)));
    assert_eq!(history.cycles_before(Number(46)).expect("readable"), None, "older notes stay unknown");
    let mut calls = 0;
    history
        .calls(None, None, &mut |_, call| {
            assert_eq!(call.given.as_ref().expect("known").cycles, None);
            calls += 1;
            Ok(())
        })
        .expect("readable");
    assert_eq!(calls, 11);
}

#[test]
fn a_journal_of_version_8_is_read() {
    let (_folder, journal, history) = migrated("journal-version-8");
    let state = state_of(&journal.load().expect("readable"));
    let events = history.events(&EventFilter::default()).expect("readable");
    assert_eq!((state.runs.keys().count(), state.parked.len(), events.len()), (11, 3, 34));
    let cycle = Cycle::parse("day-14").expect("a label");
    assert!(history.cycles_now().expect("readable").get(&cycle).is_some());
    assert_eq!(history.configuration(Number(46)).expect("readable"), None, "earlier ones stay unknown");
}

/// The last message that is noted of a worker and type.
fn last(cycles: &Cycles, worker: &str, r#type: &str) -> Option<u64> {
    cycles.last(worker, r#type, None).map(|last| last.message.0)
}

#[test]
fn the_messages_of_the_last_two_days_of_an_older_journal_are_noted() {
    for version in 3..=7 {
        let (_folder, journal, history) = migrated(&format!("journal-version-{version}"));
        let cycles = journal.load().expect("readable").cycles;
        assert_eq!(cycles, history.cycles_now().expect("readable"));
        let noted =
            [("rivers", "success"), ("rivers", "crash"), ("weather", "success"), ("upload", "success")];
        let noted = noted.map(|(worker, r#type)| last(&cycles, worker, r#type));
        assert_eq!(noted, [Some(32), Some(10), Some(29), Some(33)], "version {version}");
        assert_eq!(last(&cycles, "ssh", "need"), None);
        let parked = cycles.last("upload", "success", None).expect("noted");
        assert_eq!(parked.payload, Some(pyyaml::read("{rule: fail}").expect("YAML")));
        let since = NoteScope::Since(Timestamp::UNIX_EPOCH);
        let counting = cycles.counting(&since, "rivers", None, Now::by_wall_clock(Timestamp::UNIX_EPOCH));
        let counting: Vec<_> = counting.into_iter().map(|(chain, message)| (chain.0, message.0)).collect();
        // The failed first attempt, run 3, reached no rule; run 8 retried it.
        assert_eq!(counting, [(3, 10), (15, 20), (28, 28), (32, 32)], "version {version}");
    }
    for (name, worker, r#type, message) in [
        ("journal-version-1", "rivers", "success", 18),
        ("journal-version-2", "weather", "failure", 4),
        ("journal-version-2-operated", "weather", "success", 60),
    ] {
        let (_folder, _, history) = migrated(name);
        let cycles = history.cycles_now().expect("readable");
        assert_eq!(last(&cycles, worker, r#type), Some(message), "{name}");
    }
}

#[test]
fn messages_that_are_older_than_two_days_are_not_noted_and_cycles_are_known_by_their_messages() {
    let folder = copy("journal-version-7");
    let database = database(&folder);
    database
        .execute_batch(
            "UPDATE events SET at = replace(at, '-03-14', '-03-12') WHERE number <= 17;
             UPDATE events SET cycle = 'old' WHERE number = 17;
             UPDATE events SET cycle = 'new' WHERE number IN (20, 29);",
        )
        .expect("changed");
    let mut journal = Journal::open(folder.path()).expect("migrated");
    let recovered = journal.load().expect("readable");
    let cycles = &recovered.cycles;
    assert_eq!(last(cycles, "rivers", "crash"), None);
    assert_eq!(last(cycles, "weather", "success"), Some(29));
    let [old, new] = ["old", "new"].map(|label| cycles.get(&Cycle::parse(label).expect("a label")));
    let new = new.expect("it is kept");
    assert!(old.is_none());
    assert_eq!((new.begun.0, new.last.0), (20, 29));
    assert_eq!(new.begun_at.wall.to_string(), "2026-03-14T12:40:18.123456789Z");
    assert_eq!(new.notes.last("rivers", "success").map(|last| last.message.0), Some(20));

    // The manager goes on with them.
    let mut day = Day::new();
    day.state = state_of(&recovered);
    day.now = "2026-03-14T09:00:00-07:00[America/Vancouver]".parse().expect("a moment");
    day.message("weather", "success", "{cycle: new}");
    journal.commit(&day.records).expect("stored");
    let history = History::open(folder.path()).expect("readable");
    let number = day.records[0].number;
    assert_eq!(history.cycles_before(number).expect("readable"), Some(recovered.cycles));
    assert_eq!(history.cycles_now().expect("readable"), day.state.cycles);
    let mut known = Vec::new();
    history
        .calls(None, None, &mut |_, call| {
            known.push(call.given.as_ref().is_ok_and(|given| given.cycles.is_some()));
            Ok(())
        })
        .expect("readable");
    assert_eq!((known.iter().filter(|known| **known).count(), known.last()), (1, Some(&true)));
}

#[test]
fn a_new_journal_has_no_notes() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path()).expect("a new journal");
    assert_eq!(journal.load().expect("readable").cycles, Cycles::default());
    let history = History::open(folder.path()).expect("readable");
    assert_eq!(history.cycles_before(Number(1)).expect("readable"), Some(Cycles::default()));
}

/// Create the fixture of the current version: operators' commands, endings, and everything that can be open.
#[test]
#[ignore = "creates the fixture of the current version, which is never changed afterwards"]
fn create_version_9() {
    let folder = fixture("journal-version-9");
    let folder = folder.parent().expect("a folder");
    assert!(!folder.exists(), "the fixture is frozen");
    let mut day = Day::new();
    let command =
        |command| Event::Command { call: None, user: "ana".into(), command, historical_checklist: None };
    let running = |day: &Day, worker: &str| {
        let is_of_worker = |run: &&Run| run.is_running() && run.worker.name() == worker;
        day.state.runs.values().find(is_of_worker).expect("a running one").id
    };
    day.take(&Step::RulesLoaded(1));
    day.message("weather", "success", "{rule: launch both, 2026-03-14: \"12:30\"}");
    let run = running(&day, "rivers");
    day.happens(Event::RunEnded { run, ending: Ending::Status(3), ended_at: None });
    day.take(&Step::Hours(1));
    let run = running(&day, "rivers");
    day.happens(Event::RunEnded { run, ending: Ending::Killed(9), ended_at: None });
    day.take(&Step::Hours(0));
    let reason = Some("the disk was full".to_owned());
    day.happens(command(Command::Acknowledge { runs: vec![run], reason }));
    let run = running(&day, "ssh");
    day.happens(Event::RunEnded { run, ending: Ending::Unknown, ended_at: None });
    day.message("ssh", "success", "null");
    let worker = NextWorker {
        location: Some("next_workers.lua:14".to_owned()),
        ..NextWorker::new("rivers", vec!["12".into()])
    };
    day.happens(command(Command::Launch { worker, rerun_of: Some(run), origin: None }));
    let run = running(&day, "rivers");
    day.happens(command(Command::Kill { run }));
    day.message("weather", "success", "{rule: join}");
    day.message("rivers", "success", "{rule: launch both}");
    day.message("weather", "success", "{rule: join}");
    let parked = *day.state.parked.keys().next_back().expect("parked launches");
    day.happens(command(Command::Release { number: parked }));
    day.message("rivers", "success", "{rule: later}");
    day.message("weather", "success", "{rule: join}");
    day.message("rivers", "success", "{rule: launch both}");
    day.message("upload", "success", "{rule: fail}");
    day.happens(command(Command::Retry { message: None, historical_checklist: true }));
    day.take(&Step::Hold { worker: 3, hours: Some(48) });
    day.take(&Step::Launch(3));
    let pending = |run: &&Run| matches!(run.stage, Stage::Pending { .. }) && run.worker.name() == "upload";
    let number = day.state.runs.values().find(pending).expect("a pending one").id;
    day.happens(command(Command::Discard { number }));
    day.take(&Step::Launch(3));
    day.take(&Step::Schedule(1));
    day.take(&Step::Set { payload: 3 });
    day.take(&Step::Hours(3));
    day.message("ssh", "need", "weather forecast");
    day.message("weather", "failure", "{rule: join, cycle: day-13}");
    day.message("weather", "failure", "{cycle: idle}");
    day.take(&Step::Hours(5));
    day.message("weather", "success", "{rule: launch, cycle: day-14}");
    day.message("weather", "success", "{rule: meet, cycle: day-14}");
    let mut journal = Journal::open(folder).expect("a new journal");
    journal.commit(&day.records).expect("stored");
    drop(journal);
    fs::remove_file(folder.join("lock")).expect("removed");
}
