//! Messages that must have come before a time of day: said once for each day, whatever happens in between.

use jiff::ZonedDateTime;
use nowcast_core::message::Message;
use nowcast_core::{Command, Cycle, Event};
use pyyaml::Value;

use crate::decisions::story::{Heard, Story, config, quiet};

/// Rivers by six in the morning, and this besides.
fn expecting(expect: &str) -> Story {
    quiet(&format!("{{}}\nexpect: {expect}"))
}

const RIVERS: &str = "[{worker: rivers, by: '06:00', timezone: America/Vancouver}]";

const DAY: i64 = 86_400;

const LATE: &str = "is late: it was expected by";

fn lates(heard: &Heard) -> Vec<&str> {
    heard.log.iter().filter(|line| line.contains(LATE)).map(String::as_str).collect()
}

/// The manager has been there for a while at that moment.
fn at(manager: &mut Story, moment: &str) {
    let moment: ZonedDateTime = moment.parse().expect("a moment");
    let seconds = moment.timestamp().as_second() - manager.now.timestamp().as_second();
    assert!(lates(&manager.passes(seconds)).is_empty(), "nothing is late until {moment}");
}

#[test]
fn a_late_message_is_reported_once_and_its_arrival_as_well() {
    let mut manager = expecting(RIVERS);
    // The first day had begun before anything was expected.
    assert!(lates(&manager.passes(DAY)).is_empty());
    assert_eq!(
        lates(&manager.passes(2 * 3_600)),
        [
            "CRITICAL rivers: (success) is late: it was expected by 2026-03-15 06:00 PDT; none has been received"
        ]
    );
    assert!(manager.state.has_failures);
    let heard = manager.passes(5 * 60);
    assert!(heard.log.is_empty() && heard.records.is_empty(), "{heard:#?}");
    let heard = manager.hears("rivers", "success", "null");
    assert!(
        heard.says(
            "INFO",
            "rivers: (success) was expected by 2026-03-15 06:00 and is received 0 h 05 min late"
        ),
        "{heard:#?}"
    );
    let heard = manager.hears("rivers", "success", "null");
    assert!(!heard.log.iter().any(|line| line.contains("after all")), "{heard:#?}");
    assert_eq!(
        lates(&manager.passes(DAY)),
        [
            "CRITICAL rivers: (success) is late: it was expected by 2026-03-16 06:00 PDT; the last one was received 2026-03-15 06:05"
        ]
    );
}

#[test]
fn what_came_in_its_time_is_not_late() {
    let mut manager = expecting(RIVERS);
    for _ in 0..3 {
        // At four in the morning.
        manager.hears("rivers", "success", "null");
        assert!(lates(&manager.passes(DAY)).is_empty());
    }
    // Another worker's, another type and one of the day before are not it.
    manager.hears("ssh", "success", "null");
    manager.hears("rivers", "failure", "null");
    assert_eq!(lates(&manager.passes(3 * 3_600)).len(), 1);
    manager.hears("rivers", "success", "null");
    assert_eq!(lates(&manager.passes(DAY)).len(), 1, "it came the day before, after its time");
}

#[test]
fn only_the_days_that_are_named_count() {
    let mut manager = expecting("[{worker: rivers, by: '06:00', days: [Monday, friday], timezone: UTC}]");
    let heard = manager.passes(14 * DAY);
    let days = |day: &str| format!("by {day} 06:00 UTC");
    let expected = ["2026-03-16", "2026-03-20", "2026-03-23", "2026-03-27"].map(days);
    let lates = lates(&heard);
    assert_eq!(lates.len(), expected.len(), "{lates:#?}");
    for (line, day) in lates.iter().zip(&expected) {
        assert!(line.contains(day), "{line}: {day}");
    }
}

#[test]
fn a_window_can_begin_on_the_day_before() {
    let mut manager =
        expecting("[{worker: rivers, by: '00:30', since: '18:00', timezone: America/Vancouver}]");
    at(&mut manager, "2026-03-14T17:30:00-07:00[America/Vancouver]");
    manager.hears("rivers", "success", "null");
    assert_eq!(lates(&manager.passes(8 * 3_600)).len(), 1, "it came before its window");
    at(&mut manager, "2026-03-15T18:30:00-07:00[America/Vancouver]");
    assert!(manager.hears("rivers", "success", "null").says("INFO", "is received 18 h 00 min late"));
    assert!(lates(&manager.passes(8 * 3_600)).is_empty());
}

#[test]
fn when_the_clocks_skip_its_time_it_is_as_much_later_and_when_they_show_it_twice_it_is_the_first() {
    let expect = "[{worker: rivers, by: '02:30', timezone: America/Vancouver}]";
    for (before, by) in [
        // 02:00 becomes 03:00.
        ("2026-03-07T12:00:00-08:00[America/Vancouver]", "2026-03-08T03:30:00-07:00[America/Vancouver]"),
        ("2026-10-31T12:00:00-07:00[America/Vancouver]", "2026-11-01T02:30:00-08:00[America/Vancouver]"),
    ] {
        let mut manager = expecting(expect);
        manager.begins(before.parse().expect("a moment"));
        manager.happens(Event::Due);
        let by: ZonedDateTime = by.parse().expect("a moment");
        let seconds = by.timestamp().as_second() - manager.now.timestamp().as_second();
        assert!(lates(&manager.passes(seconds - 1)).is_empty(), "{by}");
        assert_eq!(lates(&manager.passes(1)).len(), 1, "{by}");
        assert!(lates(&manager.passes(22 * 3_600)).is_empty(), "{by}: once for the day");
    }
    // 01:30 comes twice.
    let mut manager = expecting("[{worker: rivers, by: '01:30', timezone: America/Vancouver}]");
    manager.begins("2026-10-31T12:00:00-07:00[America/Vancouver]".parse().expect("a moment"));
    manager.happens(Event::Due);
    let first: ZonedDateTime = "2026-11-01T01:30:00-07:00[America/Vancouver]".parse().expect("a moment");
    let seconds = first.timestamp().as_second() - manager.now.timestamp().as_second();
    assert!(lates(&manager.passes(seconds - 1)).is_empty());
    assert_eq!(lates(&manager.passes(1)).len(), 1);
    assert!(lates(&manager.passes(3 * 3_600)).is_empty(), "not at the second one");
}

#[test]
fn another_configuration_says_nothing_twice() {
    let mut manager = expecting(RIVERS);
    manager.passes(DAY);
    assert_eq!(lates(&manager.passes(3 * 3_600)).len(), 1, "it is seven on the 15th");
    let mut configure =
        |expect: &str| manager.happens(Event::Reloaded { policy: config(&format!("{{}}\n{expect}")) });
    let heard = configure(&format!("expect: {RIVERS}"));
    assert!(heard.log.is_empty() && heard.records.is_empty(), "{heard:#?}");
    // A later time of the same day is another one; an earlier one has passed.
    let heard = configure("expect: [{worker: rivers, by: '05:30', timezone: America/Vancouver}]");
    assert!(lates(&heard).is_empty());
    configure("expect: [{worker: rivers, by: '08:00', timezone: America/Vancouver}]");
    assert_eq!(lates(&manager.passes(3_600)).len(), 1);
    manager.happens(Event::Reloaded { policy: config("{}") });
    assert!(manager.state.expected.is_empty());
    assert!(lates(&manager.passes(2 * DAY)).is_empty());
}

#[test]
fn a_manager_that_was_away_for_days_tells_of_the_last_and_of_none_that_has_come_by_then() {
    let mut manager = expecting(RIVERS);
    manager.passes(DAY);
    manager.now = "2026-03-19T07:00:00-07:00[America/Vancouver]".parse().expect("a moment");
    let heard = manager.happens(Event::Due);
    assert_eq!(lates(&heard).len(), 1, "{heard:#?}");
    assert!(lates(&heard)[0].contains("by 2026-03-19 06:00"), "{heard:#?}");
    // It waited at the broker, perhaps since before its time.
    manager.now = "2026-03-20T07:00:00-07:00[America/Vancouver]".parse().expect("a moment");
    manager.hears("rivers", "success", "null");
    assert!(lates(&manager.happens(Event::Due)).is_empty());
}

#[test]
fn a_retry_by_an_operator_does_not_count_as_a_received_message() {
    let mut manager = crate::decisions::story::configured(&format!("{{}}\nexpect: {RIVERS}"), |_, _| {
        Err(crate::decisions::story::failed())
    });
    let heard = manager.hears("rivers", "success", "null");
    let came = manager.state.expected.values().next().expect("noticed").last_received;
    assert!(came.is_some(), "{heard:#?}");
    manager.passes(60);
    manager.asks(nowcast_core::Command::Retry { message: None, historical_checklist: false });
    assert_eq!(manager.state.expected.values().next().expect("noticed").last_received, came);
}

#[test]
fn an_expectation_with_a_cycle_is_met_by_a_message_of_that_cycle_only() {
    let mut manager =
        expecting("[{worker: rivers, by: '06:00', timezone: America/Vancouver, cycle: '%Y-%m-%d'}]");
    let of = |label: &str| Message {
        cycle: Some(Cycle::parse(label).expect("a label")),
        ..Message::new("rivers", "success", Value::Null)
    };
    at(&mut manager, "2026-03-15T00:10:00-07:00[America/Vancouver]");
    // Yesterday's, which is late; and one without a cycle.
    manager.hears_message(of("2026-03-14"));
    manager.hears("rivers", "success", "null");
    let heard = manager.passes(6 * 3_600);
    let [line] = lates(&heard)[..] else { panic!("one line: {heard:#?}") };
    assert!(line.starts_with("CRITICAL rivers: (success) of cycle 2026-03-15 is late"), "{line}");
    let is_reported = |heard: &Heard| heard.says("INFO", "was expected by 2026-03-15 06:00");
    assert!(!is_reported(&manager.hears_message(of("2026-03-14"))), "an earlier one is not the late one");
    // That of tomorrow comes early, and counts tomorrow.
    assert!(!is_reported(&manager.hears_message(of("2026-03-16"))));
    assert!(is_reported(&manager.hears_message(of("2026-03-15"))));
    assert!(lates(&manager.passes(DAY)).is_empty());
    assert_eq!(lates(&manager.passes(DAY)).len(), 1);
}

#[test]
fn the_cycle_of_an_expectation_may_be_moved() {
    let expect = "[{worker: rivers, by: '22:00', timezone: America/Vancouver, cycle: '%Y-%m-%d', shift: 1d}]";
    let mut manager = expecting(expect);
    at(&mut manager, "2026-03-15T12:00:00-07:00[America/Vancouver]");
    let cycle = Some(Cycle::parse("2026-03-16").expect("a label"));
    manager.hears_message(Message { cycle, ..Message::new("rivers", "success", Value::Null) });
    assert!(lates(&manager.passes(11 * 3_600)).is_empty());
}

#[test]
fn what_a_cycle_lacked_is_late_until_a_later_one_is_in_time_or_it_is_cancelled() {
    let expect = "[{worker: rivers, by: '06:00', timezone: America/Vancouver, cycle: '%Y-%m-%d'}]";
    let mut manager = expecting(expect);
    let of = |label: &str| Message {
        cycle: Some(Cycle::parse(label).expect("a label")),
        ..Message::new("rivers", "success", Value::Null)
    };
    let is_late = |manager: &Story| manager.state.expected.values().any(|expected| expected.late.is_some());
    manager.passes(DAY + 2 * 3_600);
    assert!(is_late(&manager));
    manager.hears_message(of("2026-03-16"));
    assert!(is_late(&manager));
    assert!(lates(&manager.passes(DAY)).is_empty());
    assert!(!is_late(&manager), "the next cycle was in time");

    // Something of the cycle comes, and an operator cancels it.
    manager.hears_message(Message { source: "weather".into(), ..of("2026-03-17") });
    let cycle = Cycle::parse("2026-03-17").expect("a label");
    manager.asks(Command::CancelCycle { cycle, reason: None });
    assert!(lates(&manager.passes(DAY)).is_empty(), "it is not awaited");
}
