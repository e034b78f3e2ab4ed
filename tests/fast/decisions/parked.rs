//! Parked messages: decided again after the repair, or dropped.

use nowcast_core::Join;
use nowcast_core::message::Message;
use nowcast_core::record::{Outcome, Speaker};
use nowcast_core::{Command, Ending, JoinRequest, Number, ReturnedLaunches, RuleError, RunId};
use pyyaml::{Map, Value};

use crate::decisions::story::{Story, failed, join, launch, nothing, requirement, story, worker};

fn retry(message: Number) -> Command {
    Command::Retry { message: Some(message), historical_checklist: false }
}

/// A manager whose rule has failed for a message of `weather`, and the parked message.
fn parked(payload: &str) -> (Story, Number) {
    let mut manager = story(|_, _| Err(failed()));
    let heard = manager.hears("weather", "success", payload);
    let number = heard.records[0].number;
    assert!(manager.state.parked.contains_key(&number), "it is parked under its own number");
    manager.calls();
    (manager, number)
}

#[test]
fn a_parked_message_is_decided_with_current_rules_and_its_historical_time() {
    let (mut manager, number) = parked("{'00': done}");
    let then = manager.now.clone();
    manager.passes(3_600);
    manager.hears("weather", "success", "{'06': done}");
    manager.calls();
    manager.rules(|_, _| Ok(launch(&["upload"])));
    let (answer, heard) = manager.asks(retry(number));
    assert_eq!(answer.text, format!("message {number} is decided"));
    assert_eq!(heard.launched, ["upload"]);
    let [record] = heard.messages()[..] else { panic!("one message") };
    assert_eq!((record.speaker, &record.outcome), (Speaker::Retry, &Outcome::Ruled));
    assert!(!manager.state.parked.contains_key(&number));
    let calls = manager.calls();
    assert_eq!(calls[0].now, then);
    assert!(calls[0].checklist.get("weather forecast").is_some_and(|entry| entry.get("06").is_some()));
}

#[test]
fn the_historical_checklist_is_used_if_requested() {
    let (mut manager, number) = parked("{'00': done}");
    manager.rules(|_, _| Ok(nothing()));
    let then = pyyaml::read("{rivers: then}").expect("YAML");
    let command = Command::Retry { message: Some(number), historical_checklist: true };
    manager.asks_with(command, Some(then.clone()));
    assert_eq!(manager.calls()[0].checklist, then);
}

#[test]
fn its_payload_is_not_merged_twice() {
    let (mut manager, number) = parked("{'00': done}");
    let key = Value::from("weather forecast");
    manager
        .asks(Command::ChecklistSet { path: "[weather forecast, '00']".into(), value: "corrected".into() });
    manager.rules(|message, _| {
        assert_eq!(message.payload.get("00"), Some(&Value::from("done")));
        Ok(nothing())
    });
    let (_, heard) = manager.asks(retry(number));
    assert!(heard.others.is_empty(), "the checklist is as it was");
    let entry = manager.state.checklist.get(&key).and_then(|entry| entry.get("00"));
    assert_eq!(entry, Some(&Value::from("corrected")));
}

#[test]
fn a_message_whose_rule_fails_again_stays_parked_as_it_was() {
    let (mut manager, number) = parked("{'00': done}");
    let then = manager.now.clone();
    for _ in 0..2 {
        manager.passes(3_600);
        let (answer, heard) = manager.asks(retry(number));
        assert!(!answer.done);
        assert!(answer.text.contains(&format!("message {number} is parked")), "{}", answer.text);
        assert!(heard.says("CRITICAL", &format!("nowcast retry {}", number.0)));
        assert!(matches!(heard.messages()[0].outcome, Outcome::RuleFailed(_)));
        assert_eq!(manager.state.parked.keys().collect::<Vec<_>>(), [&number]);
    }
    manager.calls();
    manager.rules(|_, _| Ok(launch(&["upload"])));
    assert_eq!(manager.asks(retry(number)).1.launched, ["upload"]);
    assert_eq!(manager.calls()[0].now, then);
}

#[test]
fn a_message_whose_function_is_gone_meanwhile_stays_parked() {
    let (mut manager, number) = parked("null");
    manager.rules(|_, _| {
        Err(RuleError::NoFunction { function: "after_weather".into(), module: "next_workers".into() })
    });
    let (answer, heard) = manager.asks(retry(number));
    assert!(!answer.done && answer.text.contains("could not find after_weather"));
    assert!(matches!(heard.messages()[0].outcome, Outcome::NoFunction(_)));
    assert!(manager.state.parked.contains_key(&number));
    manager.rules(|_, _| Ok(launch(&["upload"])));
    assert_eq!(manager.asks(retry(number)).1.launched, ["upload"]);
}

/// A manager with a join that waits for `rivers` and `ssh`, in which `rivers` counted and was parked.
fn parked_in_a_join() -> (Story, Number) {
    let mut manager = story(|message, _| match message.source.as_str() {
        "weather" => Ok(join(&[], &["rivers", "ssh"])),
        "rivers" => Err(failed()),
        _ => Ok(nothing()),
    });
    manager.hears("weather", "success", "null");
    let number = manager.hears("rivers", "success", "null").records[0].number;
    (manager, number)
}

#[test]
fn its_launches_wait_in_the_join_in_which_it_had_counted() {
    for failures in 0..3 {
        let (mut manager, number) = parked_in_a_join();
        for _ in 0..failures {
            manager.asks(retry(number));
        }
        manager
            .rules(|message, _| Ok(if message.source == "rivers" { launch(&["upload"]) } else { nothing() }));
        assert!(manager.asks(retry(number)).1.launched.is_empty(), "after {failures} failures");
        let waits_for = manager.state.joins.open().map(Join::requirements).collect::<Vec<_>>();
        assert_eq!(waits_for, ["ssh"], "it does not count twice");
        assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
    }
}

#[test]
fn its_launches_go_at_once_when_that_join_is_over() {
    let (mut manager, number) = parked_in_a_join();
    manager.hears("ssh", "success", "null");
    assert!(manager.state.joins.is_empty());
    manager.rules(|_, _| Ok(launch(&["upload"])));
    assert_eq!(manager.asks(retry(number)).1.launched, ["upload"]);
}

#[test]
fn it_counts_in_a_join_that_its_own_rule_opens() {
    let (mut manager, number) = parked("null");
    manager.rules(|message, _| {
        Ok(if message.source == "weather" { join(&["upload"], &["weather", "ssh"]) } else { nothing() })
    });
    assert!(manager.asks(retry(number)).1.launched.is_empty());
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
    assert!(manager.state.joins.is_empty());
}

#[test]
fn it_does_not_count_in_a_join_that_was_opened_after_it() {
    let (mut manager, number) = parked("null");
    manager.rules(|message, _| {
        let join = JoinRequest {
            wait_for: vec![requirement("weather")],
            launch: vec![worker("mute")],
            ..JoinRequest::default()
        };
        Ok(match message.source.as_str() {
            "rivers" => ReturnedLaunches { next_workers: Vec::new(), join: Some(join) },
            _ => launch(&["upload"]),
        })
    });
    manager.hears("rivers", "success", "null");
    assert_eq!(manager.asks(retry(number)).1.launched, ["upload"]);
    assert!(!manager.state.joins.is_empty());
}

#[test]
fn all_parked_messages_are_decided_in_their_order() {
    let mut manager = story(|_, _| Err(failed()));
    let all = Command::Retry { message: None, historical_checklist: false };
    assert_eq!(manager.asks(all.clone()).0.text, "no message is parked");
    for source in ["weather", "ssh", "rivers"] {
        manager.hears(source, "success", "null");
    }
    manager.calls();
    manager.rules(|message, _| if message.source == "ssh" { Err(failed()) } else { Ok(launch(&["upload"])) });
    let (answer, heard) = manager.asks(all.clone());
    assert!(!answer.done && answer.text.contains("is parked"));
    assert_eq!(heard.launched, ["upload"; 2]);
    assert_eq!(manager.called(), ["weather success", "ssh success", "rivers success"]);
    assert_eq!(manager.state.parked.len(), 1);
    manager.rules(|_, _| Ok(nothing()));
    assert!(manager.asks(all).0.done);
    assert!(manager.state.parked.is_empty());
}

#[test]
fn a_parked_message_can_be_discarded() {
    let (mut manager, number) = parked("null");
    let (answer, heard) = manager.asks(Command::Discard { number });
    assert_eq!(answer.text, format!("parked message {number} is discarded: weather: (success)"));
    assert!(heard.messages().is_empty() && manager.state.parked.is_empty() && manager.calls().is_empty());
    assert!(!manager.asks(retry(number)).0.done);
}

#[test]
fn a_parked_message_is_not_released() {
    let (mut manager, number) = parked("null");
    let (answer, _) = manager.asks(Command::Release { number });
    assert!(!answer.done && answer.text.contains(&format!("nowcast retry {}", number.0)));
    assert!(manager.state.parked.contains_key(&number));
}

/// A manager with a run of `weather` whose report is parked undecided, and the number of the message.
fn parked_undecided() -> (Story, Number, RunId) {
    let mut manager = story(|_, _| Ok(launch(&["upload"])));
    let run = manager.wants(worker("weather"));
    let message = Message { run: Some(run.0.to_string()), ..Message::new("weather", "success", payload()) };
    let heard = manager.hears_poison(&message.encode());
    assert_eq!(heard.reply(), "ack", "the worker has done its part");
    assert!(
        heard.says(
            "CRITICAL",
            "a message is parked undecided: weather: (success)\nit ended the manager twice"
        )
    );
    assert!(heard.launched.is_empty() && manager.called().is_empty());
    let number = heard.records[0].number;
    assert!(heard.says("CRITICAL", &format!("nowcast retry {}", number.0)));
    assert!(matches!(heard.messages()[0].outcome, Outcome::Undecided(_)));
    assert_eq!(heard.messages()[0].run, Some(run));
    assert_eq!(manager.state.checklist.to_value(), Value::from(Map::new()), "its payload was not looked at");
    (manager, number, run)
}

fn payload() -> Value {
    pyyaml::read("{'00': done}").expect("YAML")
}

#[test]
fn a_message_that_was_never_decided_is_parked_and_decided_by_a_retry() {
    let (mut manager, number, run) = parked_undecided();
    let then = manager.now.clone();
    manager.ends(run, Ending::Status(0));
    let heard = manager.passes(3_600);
    assert!(heard.messages().is_empty(), "its run has reported, so no crash is made for it: {heard:#?}");
    let (answer, heard) = manager.asks(retry(number));
    assert_eq!(answer.text, format!("message {number} is decided"));
    assert_eq!(heard.launched, ["upload"]);
    let [record] = heard.messages()[..] else { panic!("one message") };
    assert_eq!((record.speaker, &record.outcome, record.run), (Speaker::Retry, &Outcome::Ruled, Some(run)));
    let calls = manager.calls();
    assert_eq!(calls[0].now, then);
    assert_eq!(calls[0].checklist.get("weather forecast"), Some(&payload()));
    assert!(manager.state.parked.is_empty());
}

#[test]
fn a_retry_whose_rule_fails_leaves_it_parked_as_any_other_message() {
    let (mut manager, number, _) = parked_undecided();
    manager.rules(|_, _| Err(failed()));
    assert!(!manager.asks(retry(number)).0.done);
    assert_eq!(manager.state.parked.keys().collect::<Vec<_>>(), [&number]);
    manager
        .asks(Command::ChecklistSet { path: "[weather forecast, '00']".into(), value: "corrected".into() });
    manager.rules(|_, _| Ok(nothing()));
    assert!(manager.asks(retry(number)).0.done);
    let entry =
        manager.state.checklist.get(&Value::from("weather forecast")).and_then(|entry| entry.get("00"));
    assert_eq!(entry, Some(&Value::from("corrected")), "the payload is merged once");
}

#[test]
fn a_message_without_a_known_sender_is_parked_and_stays_parked_if_it_is_invalid() {
    let mut manager = story(|_, _| Ok(nothing()));
    let number = manager.hears_poison("{source: weather, type: success, payload: 1}").records[0].number;
    let garbage = manager.hears_poison("{source: [").records[0].number;
    let (answer, _) = manager.asks(retry(garbage));
    assert!(
        answer.text.contains(&format!("message {garbage} cannot be decided: message: not YAML")),
        "{}",
        answer.text
    );
    assert!(manager.asks(retry(number)).0.done);
    assert_eq!(manager.called(), ["weather success"]);
    assert!(manager.asks(Command::Discard { number: garbage }).0.done);
    assert!(manager.state.parked.is_empty());
}

#[test]
fn no_checklist_belongs_to_a_message_that_was_never_decided() {
    let (mut manager, number, _) = parked_undecided();
    let command = Command::Retry { message: Some(number), historical_checklist: true };
    let (answer, _) = manager.asks_with(command, Some(Value::Null));
    assert!(answer.text.contains("retry it without \"--checklist then\""), "{}", answer.text);
    assert!(manager.state.parked.contains_key(&number) && manager.called().is_empty());
}
