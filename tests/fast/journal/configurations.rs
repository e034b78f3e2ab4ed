//! The configuration of each moment.

use jiff::SignedDuration;
use nowcast::store::{History, Journal};
use nowcast_core::{Number, Steady};

use crate::journal::day::{Day, Step};
use crate::journal::recovery::tidy;

/// Commit one message that is decided by a configuration.
fn decide(journal: &mut Journal, day: &mut Day, text: &str) -> Number {
    journal.set_configuration(text).expect("readable");
    let before = day.records.len();
    day.message("weather", "success", "null");
    journal.commit(&day.records[before..]).expect("kept");
    day.records[before].number
}

#[test]
fn each_event_has_the_configuration_by_which_it_was_decided() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    day.take(&Step::RulesLoaded(1));
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    let before = day.records.last().expect("rules were loaded").number;
    let texts = ["a: 1", "a: 1", "a: 2", "a: 1"];
    let mut events = Vec::new();
    for text in texts {
        events.push(decide(&mut journal, &mut day, text));
        drop(journal);
        journal = Journal::open(folder.path()).expect("opened again");
    }
    let history = History::open(folder.path()).expect("readable");
    assert_eq!(history.configuration(before).expect("readable"), None, "it was not known then");
    for (event, text) in events.iter().zip(texts) {
        assert_eq!(history.configuration(*event).expect("readable").as_deref(), Some(text));
    }
    let database = rusqlite::Connection::open(folder.path().join("journal.sqlite")).expect("the database");
    let count = database.query_row("SELECT count(*) FROM configurations", [], |row| row.get::<_, i64>(0));
    assert_eq!(count, Ok(3), "an unchanged one is kept once");
}

#[test]
fn a_configuration_is_kept_as_long_as_an_event_that_was_decided_by_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut day = Day::new();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    let mut events = Vec::new();
    for number in 0..10 {
        events.push(decide(&mut journal, &mut day, &format!("a: {}", number / 2)));
        day.take(&Step::Hours(24));
    }
    let before = day.now.timestamp() - SignedDuration::from_hours(24 * 5);
    tidy(&mut journal, &day, Some(Steady(before)));
    let history = History::open(folder.path()).expect("readable");
    let text = |event: Number| history.configuration(event).expect("readable");
    assert_eq!(text(events[0]), None, "it is gone with its events");
    for (number, event) in events.iter().enumerate().skip(5) {
        assert_eq!(text(*event), Some(format!("a: {}", number / 2)));
    }
}
