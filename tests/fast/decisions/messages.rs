//! What is made of a message: checklist, rule, reply, record.

use nowcast_core::message::Message;
use nowcast_core::record::{Outcome, RecordedEvent, Speaker};
use nowcast_core::{Command, Effect, Event, Number, PreviousReply, Request, RequestId, RuleError};
use pyyaml::Value;

use crate::decisions::story::{failed, launch, nothing, quiet, stop_of, story};

#[test]
fn a_message_is_logged_merged_ruled_answered_and_followed() {
    let mut manager = story(|message, checklist| {
        assert_eq!(message.source, "weather");
        assert_eq!(
            checklist.get("weather forecast").and_then(|entry| entry.get("00")),
            Some(&Value::from("done"))
        );
        Ok(launch(&["rivers", "ssh"]))
    });
    let heard = manager.hears("weather", "success", "{'00': done}");
    assert_eq!(heard.reply(), "ack");
    assert_eq!(heard.launched, ["rivers", "ssh"]);
    assert_eq!(
        heard.log,
        [
            "DEBUG received message from weather: (success) downloaded",
            "INFO checklist updated with [weather forecast] items from weather worker"
        ]
    );
    assert_eq!(heard.others, [Effect::WriteChecklist]);
    let [record] = heard.messages()[..] else { panic!("one record: {heard:#?}") };
    assert_eq!(
        (&record.outcome, record.speaker, record.reply.as_str()),
        (&Outcome::Ruled, Speaker::Worker, "ack")
    );
}

#[test]
fn nothing_is_written_for_a_message_without_a_payload() {
    let mut manager = quiet("{}");
    assert_eq!(manager.hears("weather", "success", "null").others, []);
}

#[test]
fn a_payload_without_a_checklist_key_is_said_and_kept_in_the_record() {
    let mut manager = quiet("{}");
    let heard = manager.hears("upload", "success", "{'00': done}");
    assert!(heard.says("ERROR", "checklist key not found for upload worker"));
    assert!(manager.state.checklist.is_empty());
    assert!(heard.messages()[0].message.as_ref().is_some_and(|message| !message.payload.is_null()));
}

#[test]
fn a_mapping_that_is_replaced_is_said() {
    let mut manager = quiet("{}");
    manager.hears("weather", "success", "{'00': done}");
    assert!(manager.hears("weather", "success", "text").says("WARNING", "[weather forecast] was a mapping"));
}

#[test]
fn need_is_answered_without_the_rules() {
    let mut manager = quiet("{}");
    manager.hears("weather", "success", "{'00': done}");
    manager.calls();
    let found = manager.hears("weather", "need", "weather forecast");
    assert_eq!(found.log.len(), 1);
    assert_eq!(found.replies[0].payload.get("00"), Some(&Value::from("done")));
    let [record] = found.messages()[..] else { panic!("one record") };
    assert_eq!((&record.outcome, &record.reply_payload), (&Outcome::Answered, &Value::Null));
    let missing = manager.hears("weather", "need", "tides");
    assert_eq!((missing.reply(), &missing.replies[0].payload), ("ack", &Value::Null));
    assert_eq!(
        missing.log[1],
        "ERROR weather needs 'tides', which is not in the checklist; it has: 'weather forecast'"
    );
    assert!(manager.calls().is_empty());
}

#[test]
fn clearing_shows_the_checklist_first_and_asks_no_rule() {
    let mut manager = quiet("{}");
    manager.hears("weather", "success", "{'00': done}");
    manager.calls();
    let before = manager.state.checklist.to_value();
    let heard = manager.hears("weather", "clear checklist", "null");
    assert_eq!(heard.reply(), "checklist cleared");
    assert_eq!(heard.others, [Effect::LogChecklist(before), Effect::WriteChecklist]);
    assert_eq!(heard.messages()[0].outcome, Outcome::Cleared);
    assert!(manager.state.checklist.is_empty());
    assert!(manager.calls().is_empty());
}

#[test]
fn unregistered_workers_and_types_are_refused_and_recorded() {
    let mut manager = quiet("{}");
    for (source, r#type, reply) in
        [("stranger", "success", "unregistered worker"), ("rivers", "sucess", "unregistered message type")]
    {
        let heard = manager.hears(source, r#type, "{'00': done}");
        assert_eq!(heard.reply(), reply);
        assert!(heard.says("ERROR", source));
        assert!(matches!(heard.messages()[0].outcome, Outcome::Refused(_)));
    }
    assert!(manager.state.checklist.is_empty());
    assert!(manager.calls().is_empty());
}

#[test]
fn an_invalid_message_is_refused_and_its_beginning_recorded() {
    let mut manager = quiet("{}");
    let body = vec![b'{'; 100_000];
    let message = Message::decode(&body);
    assert!(message.is_err());
    let request = Request { id: RequestId(3), ticket: None, body, message };
    let heard = manager.happens(Event::Request(request));
    assert_eq!(heard.reply(), "unregistered message type");
    assert!(heard.replies[0].payload.as_str().is_some_and(|why| why.contains("not YAML")));
    let [record] = heard.messages()[..] else { panic!("one record") };
    assert_eq!((record.body.len(), record.message.is_none()), (65_536, true));
    assert!(matches!(record.outcome, Outcome::Refused(_)));
}

#[test]
fn a_failing_rule_costs_its_launches_only() {
    let mut manager = story(|_, _| Err(failed()));
    let heard = manager.hears("weather", "success", "{'00': done}");
    assert_eq!((heard.reply(), &heard.launched), ("ack", &vec![]));
    assert!(heard.log[2].starts_with("CRITICAL ") && heard.log[2].contains("\nnext_workers.lua:3: no\n"));
    assert_eq!(heard.messages()[0].outcome, Outcome::RuleFailed("next_workers.lua:3: no".into()));
    assert!(manager.state.checklist.get(&Value::from("weather forecast")).is_some());
}

#[test]
fn a_missing_function_is_said_and_answered_as_nemo_nowcast_does() {
    let mut manager = story(|_, _| {
        Err(RuleError::NoFunction { function: "after_ssh".into(), module: "next_workers".into() })
    });
    let heard = manager.hears("ssh", "success", "null");
    assert_eq!(heard.reply(), "no after_worker function");
    assert!(heard.says("CRITICAL", "could not find after_ssh in next_workers module"));
    assert!(matches!(heard.messages()[0].outcome, Outcome::NoFunction(_)));
    let number = heard.records[0].number;
    assert!(heard.says(
        "WARNING",
        &format!("ssh (success) is parked. After fixing the rule: nowcast retry {}", number.0)
    ));
    manager.rules(|_, _| Ok(launch(&["upload"])));
    assert_eq!(
        manager.asks(Command::Retry { message: Some(number), historical_checklist: false }).1.launched,
        ["upload"]
    );
    assert!(manager.state.parked.is_empty());
}

#[test]
fn a_message_that_comes_again_gets_its_reply_and_launches_nothing() {
    let mut manager = story(|_, _| Ok(launch(&["upload"])));
    manager.hears("weather", "success", "{'00': done}");
    manager.calls();
    let recorded = |need| PreviousReply { number: Number(1), reply: "ack".into(), payload: 5.into(), need };
    let again = manager.happens(Event::Repeat { request: RequestId(9), previous_reply: recorded(None) });
    assert_eq!((again.reply(), &again.replies[0].payload), ("ack", &Value::from(5)));
    assert!(again.launched.is_empty() && again.records.is_empty() && manager.calls().is_empty());
    // What is needed may have changed since.
    let need = Some("weather forecast".into());
    let again = manager.happens(Event::Repeat { request: RequestId(10), previous_reply: recorded(need) });
    assert_eq!(again.replies[0].payload.get("00"), Some(&Value::from("done")));
    let need = Some("tides".into());
    let again = manager.happens(Event::Repeat { request: RequestId(11), previous_reply: recorded(need) });
    assert_eq!(again.replies[0].payload, Value::Null);
}

#[test]
fn a_record_names_the_rules_that_were_in_force() {
    let mut manager = quiet("{}");
    manager.happens(Event::RulesLoaded { hash: "one".into(), files: Vec::new() });
    assert!(manager.happens(Event::RulesLoaded { hash: "one".into(), files: Vec::new() }).records.is_empty());
    let loaded = manager.happens(Event::RulesLoaded { hash: "two".into(), files: Vec::new() });
    let [record] = &loaded.records[..] else { panic!("one record") };
    assert_eq!(record.event, RecordedEvent::RulesLoaded { generation: 2, hash: "two".into() });
    let refused = manager.happens(Event::RulesRefused { reason: "line 3".into() });
    assert_eq!(refused.records[0].event, RecordedEvent::RulesRefused { reason: "line 3".into() });
    assert_eq!(manager.hears("weather", "success", "null").messages()[0].generation, 2);
}

#[test]
fn every_record_has_a_higher_number() {
    let mut manager =
        story(|message, _| Ok(if message.source == "ssh" { nothing() } else { launch(&["ssh"]) }));
    let mut last = 0;
    for source in ["weather", "ssh", "rivers", "stranger", "weather"] {
        let heard = manager.hears(source, "success", "null");
        assert!(heard.records[0].number.0 > last);
        assert_eq!(stop_of(&heard), None);
        last = manager.state.last_number;
    }
}
