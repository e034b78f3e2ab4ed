//! A manager that starts again knows the state of the previous one.

use nowcast::store::journal::{EventFilter, Recovered};
use nowcast::store::{History, Journal};
use nowcast_core::record::{Outcome, RecordedEvent};
use nowcast_core::{Change, State, Steady, Ticket};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::journal::day::{Day, Names, Step, new_state, shown, steps, text};

/// The state of a manager that starts with what the journal has.
pub fn state_of(recovered: &Recovered) -> State {
    let recovered = recovered.clone();
    let Recovered { checklist, cycles, changes, last_number, last_event, .. } = recovered;
    State::recovered(new_state().policy, checklist, cycles, changes, last_number, last_event)
}

/// Tidy the journal completely, as an idle manager does.
pub fn tidy(journal: &mut Journal, day: &Day, before: Option<Steady>) {
    while journal.tidy(&day.state.checklist.to_value(), &day.state.cycles, before).expect("done") {}
}

/// Whether a manager that opens the journal now would know what the day's manager knows.
pub fn assert_recovers(journal: &Journal, day: &Day) {
    let recovered = journal.load().expect("readable");
    let state = state_of(&recovered);
    assert_eq!(state.cycles, day.state.cycles);
    assert_eq!(state.activity, day.state.activity);
    assert_eq!(state.runs, day.state.runs);
    assert_eq!(state.joins, day.state.joins);
    assert_eq!(state.parked, day.state.parked);
    assert_eq!(state.holds, day.state.holds);
    assert_eq!(state.scheduled, day.state.scheduled);
    assert_eq!(state.expected, day.state.expected);
    assert_eq!(state.clock.reading, day.state.clock.reading);
    assert_eq!(recovered.last_event, day.records.last().map(|record| record.at.timestamp()));
    assert_eq!(state.rules, day.state.rules);
    assert_eq!(text(&recovered.checklist), day.checklist());
    let changed = day.records.iter().rfind(|record| record.changes.iter().any(Change::is_of_checklist));
    assert_eq!(recovered.checklist_event, changed.map(|record| record.number).unwrap_or_default());
    assert_eq!(recovered.checklist_event, journal.checklist_event());
    let used = day.records.iter().flat_map(|record| {
        let of_change = |change: &Change| match change {
            Change::Run(run) => run.id,
            Change::Join(join) => join.id,
            Change::Hold(hold) => hold.id,
            _ => record.number,
        };
        record.changes.iter().map(of_change).chain([record.number])
    });
    assert_eq!(recovered.last_number, used.max().unwrap_or_default().0);
    assert!(recovered.last_number <= day.state.last_number);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/journal_recovery.txt")))), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_is_known_after_a_restart(steps in steps(), batch in 1..9_usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut day = Day::new();
        let mut journal = Journal::open(folder.path()).expect("a new journal");
        let mut kept = 0;
        for steps in steps.chunks(batch) {
            for step in steps {
                day.take(step);
            }
            journal.commit(&day.records[kept..]).expect("kept");
            kept = day.records.len();
        }
        assert_recovers(&journal, &day);
        drop(journal);
        let journal = Journal::open(folder.path()).expect("the same journal");
        assert_recovers(&journal, &day);
        for (number, checklist) in &day.before {
            let then = journal.checklist_before(*number).expect("known");
            prop_assert_eq!(&text(&then), checklist, "before {}", number);
        }
        let history = History::open(folder.path()).expect("readable beside it");
        let open = history.open_now().expect("readable");
        prop_assert_eq!(open.runs, day.state.runs.values().cloned().collect::<Vec<_>>());
        prop_assert_eq!(open.joins, day.state.joins.open().cloned().collect::<Vec<_>>());
        prop_assert_eq!(open.ended_joins, day.state.joins.ended().cloned().collect::<Vec<_>>());
        prop_assert_eq!(open.parked, day.state.parked.values().cloned().collect::<Vec<_>>());
        prop_assert_eq!(&open.scheduled, &day.state.scheduled);
        prop_assert_eq!(open.holds, day.state.holds.values().cloned().collect::<Vec<_>>());
        prop_assert_eq!(open.expected, day.state.expected.values().cloned().collect::<Vec<_>>());
        prop_assert_eq!(open.last_event.map(shown), day.records.last().cloned().map(shown));
        prop_assert_eq!(text(&history.checklist_now().expect("readable")), day.checklist());
        prop_assert_eq!(&history.cycles_now().expect("readable"), &day.state.cycles);
        for (number, cycles) in &day.cycles_before {
            let then = history.cycles_before(*number).expect("readable");
            prop_assert_eq!(then.as_ref(), Some(cycles), "before {}", number);
        }
        let newest_first = history.events(&EventFilter::default()).expect("readable");
        let there: Vec<_> = newest_first.into_iter().rev().map(shown).collect();
        prop_assert_eq!(there, day.records.iter().cloned().map(shown).collect::<Vec<_>>());
    }

    #[test]
    fn a_message_that_comes_again_has_the_reply_that_it_had(steps in steps()) {
        let folder = tempfile::tempdir().expect("a folder");
        let day = Day::of(&steps);
        let mut journal = Journal::open(folder.path()).expect("a new journal");
        journal.commit(&day.records).expect("kept");
        assert_recognises_messages(&journal, &day);
        let unknown = Ticket { epoch: 1, number: 1 };
        prop_assert_eq!(journal.find_previous_reply(Some(unknown), Some(("weather", "no id"))).expect("readable"), None);
    }
}

/// Check that each message of a day is found by its ticket or its id, if it has one.
fn assert_recognises_messages(journal: &Journal, day: &Day) {
    for record in &day.records {
        let RecordedEvent::Message(kept) = &record.event else { continue };
        let source_and_id =
            kept.message.as_ref().and_then(|message| Some((&*message.source, message.id.as_deref()?)));
        let recorded = journal.find_previous_reply(kept.ticket, source_and_id).expect("readable");
        if kept.ticket.is_none() && source_and_id.is_none() {
            assert_eq!(recorded, None);
            continue;
        }
        let recorded = recorded.expect("it was kept");
        assert_eq!(recorded.number, record.number);
        assert_eq!(recorded.reply, kept.reply);
        assert_eq!(recorded.payload, kept.reply_payload);
        let asks = kept.message.as_ref().filter(|_| kept.outcome == Outcome::Answered);
        assert_eq!(recorded.need.as_ref(), asks.map(|message| &message.payload));
    }
}

#[test]
fn a_message_is_found_again_among_thousands() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    // The keys of messages are put into tables about a thousand at once: some are there in the end, and some are not.
    for _ in 0..40 {
        let kept = day.records.len();
        for names in [Names::Ticket, Names::Id].repeat(30) {
            day.take(&Step::Message { worker: 3, r#type: 0, payload: 0, names });
        }
        journal.commit(&day.records[kept..]).expect("kept");
    }
    assert_recognises_messages(&journal, &day);
    let unknown = |journal: &Journal| {
        // Tickets of messages that came with an id have numbers between those that were used.
        let tickets = [2, 1_000, 2_398].map(|number| Ticket { epoch: u64::MAX - 7, number });
        for ticket in tickets {
            assert_eq!(
                journal.find_previous_reply(Some(ticket), Some(("weather", "id 7"))).expect("readable"),
                None
            );
        }
    };
    unknown(&journal);
    drop(journal);
    let journal = Journal::open(folder.path()).expect("the same journal");
    assert_recognises_messages(&journal, &day);
    unknown(&journal);
}

#[test]
fn a_commit_can_be_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    day.message("weather", "success", "{rule: launch both}");
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    let first = day.records.len();
    day.message("weather", "success", "{rule: join}");
    // One of the batch is there already, so that nothing of the batch may be kept.
    let mut batch = vec![day.records[first].clone(), day.records[0].clone()];
    assert!(journal.commit(&batch).is_err());
    batch.truncate(1);
    journal.commit(&batch).expect("kept");
    assert_recovers(&journal, &day);
}

#[test]
fn snapshots_change_nothing_but_the_time_of_a_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    let mut kept = 0;
    for round in 0..7 {
        for number in 0..400 {
            let worker = if number % 2 == 0 { "weather" } else { "rivers" };
            day.message(worker, "success", &format!("{{k{}: {number}, b: {round}}}", number % 37));
        }
        journal.commit(&day.records[kept..]).expect("kept");
        kept = day.records.len();
        tidy(&mut journal, &day, None);
    }
    let snapshots: i64 = rusqlite::Connection::open(folder.path().join("journal.sqlite"))
        .and_then(|database| database.query_row("SELECT count(*) FROM snapshots", [], |row| row.get(0)))
        .expect("readable");
    assert!(snapshots > 2, "{snapshots}");
    assert_recovers(&journal, &day);
    for (number, checklist) in day.before.iter().step_by(97) {
        assert_eq!(&text(&journal.checklist_before(*number).expect("known")), checklist, "before {number}");
    }
    let history = History::open(folder.path()).expect("readable");
    for (number, cycles) in day.cycles_before.iter().skip(90) {
        assert_eq!(history.cycles_before(*number).expect("readable").as_ref(), Some(cycles), "{number}");
    }
}
