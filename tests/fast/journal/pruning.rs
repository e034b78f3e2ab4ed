//! Removing what is too old takes nothing that is still needed.

use std::path::Path;

use jiff::SignedDuration;
use nowcast::store::journal::{EventFilter, RunFilter};
use nowcast::store::{History, Journal, JournalError};
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Change, Ending, Event, Number, Steady};

use crate::journal::day::{Day, Names, Step, text};
use crate::journal::recovery::{assert_recovers, tidy};

/// Forty days; on the first one something is left open of each kind.
fn forty_days() -> Day {
    let mut day = Day::new();
    day.message("upload", "success", "{rule: join}");
    day.message("weather", "success", "{rule: fail, old: parked}");
    day.take(&Step::Hold { worker: 2, hours: None });
    day.message("weather", "success", "{rule: later, old: waits}");
    for number in 0..40 {
        for hour in 0..20 {
            let payload = format!("{{k{hour}: {number}, rule: debug, z: 1, a: 2, cycle: day-{number}}}");
            day.message("weather", "success", &payload);
            let running = day.state.runs.values().filter(|run| run.is_running());
            let ids: Vec<Number> = running.map(|run| run.id).collect();
            for run in ids {
                day.happens(Event::RunEnded { run, ending: Ending::Status(0), ended_at: None });
            }
        }
        day.take(&Step::Hours(24));
    }
    day
}

fn prune(journal: &mut Journal, day: &Day, days: i64) {
    let before = day.now.timestamp() - SignedDuration::from_hours(24 * days);
    tidy(journal, day, Some(Steady(before)));
}

#[test]
fn the_files_of_old_rules_go_but_for_the_last_few() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    for number in 0..15 {
        day.take(&Step::RulesLoaded(number));
        day.message("weather", "success", "null");
        day.take(&Step::Hours(24));
    }
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    prune(&mut journal, &day, 1);
    let history = History::open(folder.path()).expect("readable");
    let is_there = |generation| !history.rule_files(generation).expect("readable").is_empty();
    assert_eq!(
        (1..=15).filter(|generation| is_there(*generation)).collect::<Vec<_>>(),
        [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    );
}

#[test]
fn open_items_and_the_remaining_checklists_survive_pruning() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = forty_days();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    let history = History::open(folder.path()).expect("readable");
    let count = |history: &History| history.events(&EventFilter::default()).expect("readable").len();
    let runs = history.runs(&RunFilter::default()).expect("readable").len();

    prune(&mut journal, &day, 10);
    assert_recovers(&journal, &day);
    let midnight = |days: i64| (day.now.timestamp().as_second() / 86_400 - days) * 86_400;
    let is_kept = |at: &jiff::ZonedDateTime, days| at.timestamp().as_second() >= midnight(days);
    let young = day.records.iter().filter(|record| is_kept(&record.at, 10)).count();
    let left = history.events(&EventFilter::default()).expect("readable");
    let old: Vec<Number> =
        left.iter().filter(|record| !is_kept(&record.at, 10)).map(|record| record.number).collect();
    assert_eq!(left.len(), young + old.len());
    assert!(history.runs(&RunFilter::default()).expect("readable").len() < runs / 2);

    // The causes of what is open are there.
    for change in journal.load().expect("readable").changes {
        let cause = match change {
            Change::Run(run) => run.cause,
            Change::Join(join) => join.opened_by,
            Change::Parked(parked) if history.join(parked.id).expect("readable").is_none() => parked.id,
            _ => continue,
        };
        let cause = history.event(cause).expect("readable").expect("the cause of what is open stays");
        assert!(old.contains(&cause.number) && matches!(cause.event, RecordedEvent::Message(_)));
    }
    for (number, checklist) in &day.before {
        let record = day.records.iter().find(|record| record.number == *number).expect("a record");
        match journal.checklist_before(*number) {
            Ok(then) => assert_eq!(&text(&then), checklist, "before {number}"),
            Err(JournalError::Pruned(which)) => {
                assert!(which == *number && !is_kept(&record.at, 10), "{number} is young");
            }
            Err(other) => panic!("{other}"),
        }
    }
    let mut known = 0;
    for (number, cycles) in &day.cycles_before {
        let then = history.cycles_before(*number).expect("readable");
        known += usize::from(then.is_some());
        assert!(then.as_ref().is_none_or(|then| then == cycles), "before {number}");
        assert_eq!(then.is_some(), journal.checklist_before(*number).is_ok(), "before {number}");
    }
    assert!(known >= 2, "{known}");
    let error = history.checklist_before(Number(3)).expect_err("too old").to_string();
    assert!(error.contains("event #3 ") && error.contains("journal: keep:"), "{error}");

    // It goes on, and the next days are removed in their turn.
    let kept = day.records.len();
    day.message("weather", "success", "{rule: launch both}");
    journal.commit(&day.records[kept..]).expect("kept");
    prune(&mut journal, &day, 5);
    assert!(count(&history) < left.len());
    assert_recovers(&journal, &day);
    drop((journal, history));
    assert_recovers(&Journal::open(folder.path()).expect("the same journal"), &day);
}

#[test]
fn nothing_is_removed_that_is_younger_or_without_being_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let day = forty_days();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    prune(&mut journal, &day, 100);
    tidy(&mut journal, &day, None);
    let history = History::open(folder.path()).expect("readable");
    assert_eq!(history.events(&EventFilter::default()).expect("readable").len(), day.records.len());
    assert_eq!(text(&history.checklist_before(Number(1)).expect("known")), "{}\n");
}

#[test]
fn a_removed_message_is_not_recognised_any_more() {
    let day = forty_days();
    // In two commits, so that the second one puts the keys of all messages into tables; or in one, so that they are in memory.
    for first in [day.records.len() - 1, day.records.len()] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path()).expect("a new journal");
        journal.commit(&day.records[..first]).expect("kept");
        journal.commit(&day.records[first..]).expect("kept");
        prune(&mut journal, &day, 10);
        let history = History::open(folder.path()).expect("readable");
        let (mut removed, mut kept) = (0, 0);
        for record in &day.records {
            let RecordedEvent::Message(message) = &record.event else { continue };
            let recorded = journal
                .find_previous_reply(message.ticket, None)
                .expect("readable")
                .map(|reply| reply.number);
            let is_there = history.event(record.number).expect("readable").is_some();
            assert_eq!(recorded, is_there.then_some(record.number));
            *(if is_there { &mut kept } else { &mut removed }) += 1;
        }
        assert!(removed > 100 && kept > 100, "{removed} {kept}");
        let database =
            rusqlite::Connection::open(folder.path().join("journal.sqlite")).expect("the database");
        let keys = "SELECT count(*) FROM tickets WHERE event NOT IN (SELECT number FROM events)";
        let left: i64 = database.query_row(keys, [], |row| row.get(0)).expect("a count");
        assert_eq!(left, 0, "keys of removed messages");
    }
}

#[test]
fn a_removed_message_that_comes_again_is_recognised_from_then_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // Few enough, so that their keys are in memory.
    let mut day = Day::new();
    day.message("weather", "success", "null");
    day.take(&Step::Hours(24 * 40));
    day.message("weather", "success", "null");
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    prune(&mut journal, &day, 10);
    let mut again = day.records[0].clone();
    let RecordedEvent::Message(message) = &again.event else { panic!("{again:?}") };
    let ticket = message.ticket;
    assert!(ticket.is_some() && journal.find_previous_reply(ticket, None).expect("readable").is_none());
    day.message("weather", "success", "null");
    let next = day.records.pop().expect("a record");
    (again.number, again.at) = (next.number, next.at);
    journal.commit(std::slice::from_ref(&again)).expect("kept");
    let recorded = journal.find_previous_reply(ticket, None).expect("readable").map(|reply| reply.number);
    assert_eq!(recorded, Some(again.number));
}

#[test]
fn the_numbers_go_on_when_everything_is_old() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = forty_days();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    let last = journal.load().expect("readable").last_number;
    day.now = day.now.checked_add(SignedDuration::from_hours(24 * 365)).expect("a moment");
    prune(&mut journal, &day, 10);
    drop(journal);
    let journal = Journal::open(folder.path()).expect("the same journal");
    assert_eq!(journal.load().expect("readable").last_number, last);
    assert_recovers(&journal, &day);
}

#[test]
fn a_compacted_journal_is_smaller_and_has_the_same_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = forty_days();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    let before = day.now.timestamp() - SignedDuration::from_hours(24 * 10);
    let removed = journal.prune(Steady(before)).expect("pruned");
    assert!(removed.events > 0 && removed.runs > 0 && removed.bytes > 0, "{removed:?}");
    let gone = journal.old_outputs(Steady(before)).expect("readable");
    assert!(gone.contains(Number(30)) && !gone.contains(day.records.last().expect("a record").number));
    let history = History::open(folder.path()).expect("readable");
    let content = history.events(&EventFilter::default()).expect("readable");
    let size = || std::fs::metadata(folder.path().join("journal.sqlite")).expect("the database").len();

    journal.compact().expect("compacted");
    assert!(journal.shrink().expect("shrunk"));
    let large = size();
    assert_eq!(history.info().expect("readable").free_bytes, 0);
    let half: Vec<_> = day.records.split_off(day.records.len() / 2);
    assert_eq!(history.events(&EventFilter::default()).expect("readable"), content);
    assert_eq!(history.check().expect("readable"), [""; 0]);
    assert_eq!(history.info().expect("readable").events, content.len() as u64);

    // A reader that was there before, and the manager's own connection, go on with it.
    day.records.extend(half);
    let count = day.records.len();
    day.message("weather", "success", "{rule: debug, after: compacting}");
    journal.commit(&day.records[count..]).expect("kept");
    assert_recovers(&journal, &day);
    journal.prune(Steady(day.now.timestamp())).expect("pruned");
    assert!(history.info().expect("readable").free_bytes > 0);
    journal.compact().expect("compacted");
    assert!(journal.shrink().expect("shrunk"));
    assert!(size() < large, "{} of {large}", size());
}

#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    for number in 0..50 {
        day.message("weather", "success", &format!("{{number: {number}}}"));
    }
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    drop(journal);
    let history = History::open(folder.path()).expect("readable");
    assert_eq!(history.check().expect("readable"), [""; 0]);
    let damage = |statement: &str| {
        let database =
            rusqlite::Connection::open(folder.path().join("journal.sqlite")).expect("the database");
        database.execute(statement, []).expect("damaged");
        history.check().expect("readable")
    };
    let number = day.records[20].number;
    let problems = damage(&format!("UPDATE events SET outcome = 'nonsense' WHERE number = {}", number.0));
    assert!(problems.iter().any(|problem| problem.starts_with(&format!("event {number}: "))), "{problems:?}");
    let last = day.records.last().expect("a record").number;
    let problems = damage(&format!("DELETE FROM events WHERE number = {}", last.0));
    let expected = format!("and {last} was committed");
    assert!(problems.iter().any(|problem| problem.ends_with(&expected)), "{problems:?}");
}

#[test]
fn a_message_that_would_be_decided_again_is_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    // Enough, so that the second commit puts the keys of all messages into tables; the third one has keys in memory.
    for count in [1_000, 2, 2] {
        let kept = day.records.len();
        for names in [Names::Ticket, Names::Id].iter().cycle().take(count) {
            day.take(&Step::Message { worker: 3, r#type: 0, payload: 0, names: *names });
        }
        journal.commit(&day.records[kept..]).expect("kept");
    }
    let history = History::open(folder.path()).expect("readable");
    assert_eq!(history.check().expect("readable"), [""; 0]);
    let database = rusqlite::Connection::open(folder.path().join("journal.sqlite")).expect("the database");
    let mut missing = Vec::new();
    for table in ["tickets", "message_ids"] {
        let select = format!("SELECT max(event) FROM {table}");
        let event: i64 = database.query_row(&select, [], |row| row.get(0)).expect("a key");
        assert_eq!(database.execute(&format!("DELETE FROM {table} WHERE event = ?1"), [event]), Ok(1));
        missing.push(format!(
            "event #{event}: the key of its message is missing, so the message would be decided again"
        ));
    }
    missing.sort();
    assert_eq!(history.check().expect("readable"), missing);
}

#[test]
fn no_output_is_too_old_that_something_open_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-1/journal.sqlite");
    std::fs::copy(fixture, folder.path().join("journal.sqlite")).expect("copied");
    drop(Journal::open(folder.path()).expect("brought up to date"));
    let database = rusqlite::Connection::open(folder.path().join("journal.sqlite")).expect("the database");
    let change = |statement: &str| database.execute(statement, []).expect("changed");
    let old = || {
        let history = History::open(folder.path()).expect("readable");
        let old =
            history.old_outputs(Steady("2026-11-30T00:00:00Z".parse().expect("a time"))).expect("readable");
        [3, 4, 8, 12].map(|run| old.contains(Number(run)))
    };
    // Runs 4, 8 and 12 are open, and 8 retries 3.
    assert_eq!(old(), [false; 4]);
    // An open join has received the message of run 8, and that of run 12 is parked.
    change("UPDATE runs SET is_open = 0 WHERE id > 3");
    assert_eq!(old(), [true, true, false, false]);
    // The parked message is of a cycle of run 4.
    change("UPDATE parked SET body = json_set(body, '$.item.message.cycle', 'today')");
    change("UPDATE runs SET cycle = 'today' WHERE id = 4");
    assert_eq!(old(), [true, false, false, false]);
    change("UPDATE parked SET closed_by = 19");
    change("UPDATE joins SET closed_by = 19");
    assert_eq!(old(), [true, true, true, true]);
}
