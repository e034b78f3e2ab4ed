//! Notes of messages, and the cycles that are kept.

use std::sync::Arc;

use nowcast_core::cycles::{MOST_CYCLES, NoteScope};
use nowcast_core::message::Message;
use nowcast_core::notes::{LARGEST_CYCLE_PAYLOAD, LARGEST_PAYLOAD};
use nowcast_core::record::Change;
use nowcast_core::rules::ReturnedLaunches;
use nowcast_core::run::MOST_SENT;
use nowcast_core::{Command, Cycles, Ending, Number};
use pyyaml::Value;

use crate::decisions::story::{
    Heard, Story, configured, cycle, failed, in_cycle, launch, nothing, of_cycle, quiet, story, worker,
};

const DAY: i64 = 86_400;

/// The messages of a worker that count in a cycle.
fn counting(manager: &Story, label: &str, worker: &str, r#type: Option<&str>) -> Vec<Number> {
    let found =
        manager.state.cycles.counting(&NoteScope::Cycle(cycle(label)), worker, r#type, manager.present());
    found.into_iter().map(|(_, message)| message).collect()
}

fn number(heard: &Heard) -> Number {
    heard.records[0].number
}

fn noted(heard: &Heard) -> usize {
    let changes = heard.records.iter().flat_map(|record| &record.changes);
    changes.filter(|change| matches!(change, Change::Noted(_))).count()
}

#[test]
fn a_message_is_noted_before_its_rule_is_called() {
    let mut manager = story(|_, _| Ok(nothing()));
    manager.watches_notes("weather", "success");
    let first = manager.hears("weather", "success", "{hour: 6}");
    let second = manager.hears("weather", "success", "{hour: 12}");
    let seen: Vec<_> = manager.calls().into_iter().map(|call| call.last_noted.expect("noted")).collect();
    assert_eq!(seen.iter().map(|last| last.message).collect::<Vec<_>>(), [number(&first), number(&second)]);
    assert_eq!(seen[1].payload, Some(pyyaml::read("{hour: 12}").expect("YAML")));
    assert_eq!(seen[1].at, manager.now.timestamp());
}

#[test]
fn only_messages_that_are_for_a_rule_are_noted_and_a_failed_attempt_is_not() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    manager.wants(worker("weather"));
    for (source, r#type, expected) in [
        ("weather", "need", 0),
        ("weather", "clear checklist", 0),
        ("weather", "unknown", 0),
        ("stranger", "success", 0),
        ("weather", "failure", 0),
        ("weather", "failure", 1),
        ("rivers", "success", 1),
    ] {
        assert_eq!(noted(&manager.hears(source, r#type, "null")), expected, "{source}: {type}");
    }
}

#[test]
fn a_message_that_is_parked_and_decided_again_is_noted_once() {
    let mut manager = story(|_, _| Err(failed()));
    let heard = manager.hears_message(of_cycle("weather", "success", "today"));
    assert_eq!(noted(&heard), 1, "also if the rule fails");
    manager.rules(|_, _| Ok(launch(&["rivers"])));
    let retry = Command::Retry { message: None, historical_checklist: false };
    let (_, retried) = manager.asks(retry.clone());
    assert_eq!((noted(&retried), retried.launched), (0, vec!["rivers".to_owned()]));
    assert_eq!(counting(&manager, "today", "weather", Some("success")), [number(&heard)]);

    let poison = of_cycle("weather", "success", "today").encode();
    assert_eq!(noted(&manager.hears_poison(&poison)), 0, "it has reached no rule");
    let (_, decided) = manager.asks(retry);
    assert_eq!(noted(&decided), 1);
}

#[test]
fn of_a_run_with_its_retries_and_reruns_the_latest_counts() {
    let mut manager = configured("{feeds: {retries: 1}}", |_, _| Ok(nothing()));
    let run = manager.wants(in_cycle("feeds", "today"));
    manager.hears_of(run, "feeds", "halfway");
    let first = manager.hears_of(run, "feeds", "success");
    assert_eq!(counting(&manager, "today", "feeds", None).len(), 1, "a run counts once, whatever it sends");
    assert_eq!(counting(&manager, "today", "feeds", Some("success")), [number(&first)]);
    manager.ends(run, Ending::Status(0));

    let rerun =
        Command::Launch { worker: in_cycle("feeds", "today"), rerun_of: Some(run), origin: Some(run) };
    let (answer, _) = manager.asks(rerun);
    let halfway = manager.hears_of(answer.numbers[0], "feeds", "halfway");
    assert_eq!(counting(&manager, "today", "feeds", Some("success")), [], "the latest run has not succeeded");
    assert_eq!(counting(&manager, "today", "feeds", Some("halfway")), [number(&halfway)]);
    let second = manager.hears_of(answer.numbers[0], "feeds", "success");
    assert_eq!(counting(&manager, "today", "feeds", Some("success")), [number(&second)]);

    let other = manager.wants(in_cycle("feeds", "today"));
    let third = manager.hears_of(other, "feeds", "success");
    assert_eq!(counting(&manager, "today", "feeds", Some("success")), [number(&second), number(&third)]);
}

/// The worker's message that names its run and cycle, as our own workers do.
fn late(manager: &mut Story, run: Number, r#type: &str) -> Number {
    let mut message = of_cycle("weather", r#type, "today");
    message.run = Some(run.0.to_string());
    number(&manager.hears_message(message))
}

#[test]
fn a_late_report_of_a_closed_run_counts_in_its_chain() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    let first = manager.wants(in_cycle("weather", "today"));
    manager.ends(first, Ending::Status(1));
    let heard = manager.passes(2);
    let retry = heard.run();
    let success = late(&mut manager, first, "success");
    assert_eq!(counting(&manager, "today", "weather", None), [success], "the retry has sent nothing yet");
    let failure = late(&mut manager, retry, "failure");
    manager.ends(retry, Ending::Status(1));
    assert_eq!(counting(&manager, "today", "weather", None), [failure], "of one chain the latest run counts");
    late(&mut manager, first, "success");
    assert_eq!(counting(&manager, "today", "weather", None), [failure]);
    let success = late(&mut manager, retry, "success");
    assert_eq!(
        counting(&manager, "today", "weather", Some("success")),
        [success],
        "the latest run, though it is closed"
    );
    assert_eq!(counting(&manager, "today", "weather", None).len(), 1, "one chain counts once");

    // A program that inherited the number of another worker's run.
    for _ in 0..2 {
        let mut message = of_cycle("ssh", "success", "today");
        message.run = Some(first.0.to_string());
        manager.hears_message(message);
    }
    assert_eq!(counting(&manager, "today", "ssh", None).len(), 2);
}

#[test]
fn a_message_that_names_another_message_as_its_run_counts_by_itself() {
    let mut manager = quiet("{}");
    let first = number(&manager.hears_message(of_cycle("weather", "success", "today")));
    let second = late(&mut manager, first, "success");
    assert_eq!(counting(&manager, "today", "weather", None), [first, second]);
}

#[test]
fn messages_count_since_a_moment_whatever_their_cycle() {
    let mut manager = quiet("{}");
    manager.hears_message(of_cycle("weather", "success", "yesterday"));
    manager.passes(3_600);
    let moment = manager.now.timestamp();
    let with = manager.hears_message(of_cycle("weather", "success", "today"));
    let without = manager.hears("weather", "success", "null");
    let counted = manager.state.cycles.counting(
        &NoteScope::Since(moment),
        "weather",
        Some("success"),
        manager.present(),
    );
    let counted: Vec<Number> = counted.into_iter().map(|(_, message)| message).collect();
    assert_eq!(counted, [number(&with), number(&without)]);
}

#[test]
fn the_last_message_is_that_of_the_cycle_or_the_last_of_all() {
    let mut manager = quiet("{}");
    let [a, b] =
        ["a", "b"].map(|label| number(&manager.hears_message(of_cycle("weather", "success", label))));
    let last = |label: Option<&str>| {
        let cycle = label.map(cycle);
        manager.state.cycles.last("weather", "success", cycle.as_ref()).map(|last| last.message)
    };
    assert_eq!(
        [last(Some("a")), last(Some("b")), last(None), last(Some("c"))],
        [Some(a), Some(b), Some(b), None]
    );
    assert_eq!(manager.state.cycles.last("weather", "failure", None), None);
}

#[test]
fn a_payload_that_is_too_large_is_not_noted() {
    let mut manager = quiet("{}");
    manager.hears("weather", "success", &format!("{{text: {}}}", "x".repeat(LARGEST_PAYLOAD)));
    let last = manager.state.cycles.last("weather", "success", None).expect("noted");
    assert_eq!(last.payload, None);
}

#[test]
fn a_cycle_is_forgotten_when_it_had_nothing_open_for_long() {
    let mut manager = story(|message, _| {
        Ok(if message.source == "weather" { launch(&["rivers"]) } else { ReturnedLaunches::default() })
    });
    let heard = manager.hears_message(of_cycle("weather", "success", "today"));
    let run = heard.run();
    manager.passes(29 * DAY);
    assert!(manager.state.cycles.get(&cycle("today")).is_some());
    manager.passes(9 * DAY);
    assert!(manager.state.cycles.get(&cycle("today")).is_some(), "its run is open");
    manager.hears_of(run, "rivers", "success");
    manager.ends(run, Ending::Status(0));
    let begun = manager.state.cycles.get(&cycle("today")).expect("kept").begun;
    assert_eq!(begun, number(&heard));
    manager.passes(30 * DAY - 1);
    assert!(manager.state.cycles.get(&cycle("today")).is_some(), "from its last event on");
    manager.passes(1);
    assert!(manager.state.cycles.get(&cycle("today")).is_none());
    assert_eq!(
        manager.state.cycles.last("weather", "success", None).map(|last| last.message),
        Some(number(&heard)),
        "the last message of all is not of the cycle only"
    );

    let heard = manager.hears_message(of_cycle("rivers", "success", "today"));
    assert!(heard.says("WARNING", "cycle today begins again"), "{heard:#?}");
    assert_eq!(counting(&manager, "today", "weather", None), [], "it is a new cycle");
    let heard = manager.hears_message(of_cycle("rivers", "success", "today"));
    assert!(!heard.says("WARNING", "begins again"), "{heard:#?}");
}

/// The payload that is noted of the weather in a cycle; null if it is not noted, `None` if its cycle is not kept.
fn noted_payload(manager: &Story, label: &str) -> Option<Value> {
    let last = manager.state.cycles.last("weather", "success", Some(&cycle(label)));
    last.map(|last| last.payload.clone().unwrap_or_default())
}

#[test]
fn a_flood_of_payloads_is_bounded() {
    const MOST: usize = 100_000;
    let mut manager = quiet("{}");
    Arc::make_mut(&mut manager.state.policy).cycles.most_note_bytes = MOST;
    manager.wants(in_cycle("rivers", "open"));
    let message = |label: &str| {
        let payload = Value::from("x".repeat(LARGEST_CYCLE_PAYLOAD / 2));
        Message { payload, ..of_cycle("weather", "success", label) }
    };
    manager.hears_message(message("open"));
    let mut warnings = 0;
    for label in 1..=50 {
        manager.passes(1);
        let heard = manager.hears_message(message(&format!("flood-{label}")));
        warnings += usize::from(heard.says("WARNING", "the cycles that were idle for longest are forgotten"));
        assert!(manager.state.cycles.bytes() <= MOST + LARGEST_CYCLE_PAYLOAD);
    }
    assert_eq!(warnings, 1);
    let payload = Some(message("open").payload);
    assert_eq!(noted_payload(&manager, "flood-1"), None, "the oldest is forgotten first");
    assert_eq!(noted_payload(&manager, "flood-50"), payload);
    assert_eq!(noted_payload(&manager, "open"), payload, "its run is open");
    let text = serde_json::to_string(&manager.state.cycles).expect("JSON");
    let read: Cycles = serde_json::from_str(&text).expect("cycles");
    assert_eq!(read.bytes(), manager.state.cycles.bytes(), "a manager that starts counts the same");

    for label in 1..=50 {
        let label = format!("open-{label}");
        manager.wants(in_cycle("rivers", &label));
        manager.hears_message(message(&label));
        assert!(manager.state.cycles.bytes() <= 2 * MOST);
    }
    assert_eq!(noted_payload(&manager, "flood-50"), None);
    assert_eq!(noted_payload(&manager, "open-50"), Some(Value::Null), "no cycle is idle");
    assert_eq!(counting(&manager, "open-50", "weather", Some("success")).len(), 1, "it counts in joins");
}

#[test]
fn a_flood_of_labels_is_bounded() {
    let mut manager = quiet("{}");
    let open = manager.wants(in_cycle("rivers", "open"));
    let seen = |label| Change::CycleSeen {
        cycle: cycle(&format!("flood-{label}")),
        number: open,
        at: manager.present().time,
    };
    let seen: Vec<Change> = (1..MOST_CYCLES).map(seen).collect();
    manager.recalls(&seen);
    assert_eq!(manager.state.cycles.kept().len(), MOST_CYCLES);
    manager.passes(1);
    let heard = manager.hears_message(of_cycle("weather", "success", "one-more"));
    assert!(heard.says("WARNING", "the one that was idle for longest is forgotten: flood-1"), "{heard:#?}");
    assert_eq!(manager.state.cycles.kept().len(), MOST_CYCLES);
    assert!(manager.state.cycles.get(&cycle("open")).is_some(), "its run is open");
    assert!(manager.state.cycles.get(&cycle("flood-1")).is_none());
}

#[test]
fn a_run_has_what_its_worker_sent_before_its_report() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("feeds"));
    let sent = |manager: &Story| {
        let sent = &manager.state.runs[&run].sent;
        sent.iter().map(|report| report.r#type.clone()).collect::<Vec<_>>()
    };
    for r#type in ["halfway", "success nowcast", "success"] {
        manager.hears_of(run, "feeds", r#type);
    }
    assert_eq!(sent(&manager), ["halfway", "success nowcast"]);
    for _ in 0..MOST_SENT {
        manager.hears_of(run, "feeds", "success");
    }
    assert_eq!(sent(&manager).len(), MOST_SENT);

    let weather = manager.wants(worker("weather"));
    let cleared = manager.hears("weather", "clear checklist", "null");
    assert_eq!(cleared.messages()[0].run, Some(weather));
    let weather = &manager.state.runs[&weather];
    assert_eq!((weather.sent.len(), &weather.report), (1, &None), "it is not a report");
}

#[test]
fn cycles_and_notes_are_the_same_after_they_were_stored_as_json() {
    let mut manager = quiet("{}");
    let dates = "{2026-03-14: [12:30:00, 2026-03-14T04:40:12.5-07:00, '2026-03-14'], set: !!set {b, a}}";
    let mut message = of_cycle("weather", "success", "today");
    message.payload = pyyaml::read(dates).expect("YAML");
    manager.hears_message(message);
    message = of_cycle("rivers", "success", "tomorrow");
    message.payload = Value::from("x".repeat(LARGEST_PAYLOAD));
    manager.hears_message(message);
    manager.hears("feeds", "success", "null");
    manager.passes(30 * DAY);
    manager.hears_message(of_cycle("weather", "failure", "tomorrow"));
    let cycles = &manager.state.cycles;
    assert!(cycles.is_forgotten(&cycle("today")) && cycles.get(&cycle("tomorrow")).is_some());

    let json = serde_json::to_string(cycles).expect("JSON");
    let again: Cycles = serde_json::from_str(&json).expect("cycles");
    assert_eq!(again, *cycles);
    let last = |worker| again.last(worker, "success", None).expect("noted").payload.clone();
    assert_eq!(last("weather"), Some(pyyaml::read(dates).expect("YAML")));
    assert_eq!(last("rivers"), None, "it is too large");
    assert_eq!(last("feeds"), Some(Value::Null), "nothing is not the same as too large");
}
