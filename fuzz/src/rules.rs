//! The functions that rules can call: the input is the text of a rule.

use nowcast_core::message::Message;
use nowcast_core::{RuleCallResult, RuleInput, Rules};
use pyyaml::Value;

use super::system;

const MESSAGE: &str = "{a: 1, list: [1, 2.5, ~, x, 2026-03-14], deep: {1: {2: [3]}}, text: 'a.b_c-05', set: !!set {b, c}, \
    time: 2026-03-14T05:15:00-07:00, bytes: !!binary aGk=, big: 99999999999999999999}";

/// A call is a function of its arguments, whatever the rule does, and no rule harms the next call.
pub fn check(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    let text = format!(
        "function after_good() return {{ NextWorker('fine') }} end\n\
         function after_sleep(msg, config, checklist)\n{body}\nend"
    );
    let Ok(engine) = system::engine(&text) else { return };
    let value = pyyaml::read(MESSAGE).expect("YAML");
    let first = call(&engine, "sleep", &value);
    let second = call(&engine, "sleep", &value);
    assert_eq!(first.result, second.result);
    assert_eq!(first.log, second.log);
    assert_eq!(first.keys_read, second.keys_read);
    if !body.contains("after_good") && !body.contains("NextWorker") {
        assert!(call(&engine, "good", &value).result.is_ok_and(|launches| launches.next_workers.len() == 1));
    }
}

fn call(engine: &nowcast::rules::Engine, source: &str, value: &Value) -> RuleCallResult {
    let message = Message::new(source, "success", value.clone());
    engine.call_after(&RuleInput {
        message: &message,
        config: value,
        checklist: value,
        cycles: None,
        now: &system::begin(),
    })
}
