//! The views that rules have of YAML values: the input is YAML, and a rule walks over it.

use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use nowcast::rules::{CallLimits, Engine, EngineOptions};
use nowcast_core::message::Message;
use nowcast_core::{RuleFile, RuleInput, Rules};
use pyyaml::Value;

use super::system;

const RULES: &str = include_str!("views/walk.lua");

/// The most entries, of all levels, that the rule visits.
const MOST: usize = 500;

thread_local! {
    static ENGINE: Rc<Engine> = Rc::new(engine());
}

/// A rule sees the value as it is.
pub fn check(data: &[u8]) {
    let Ok(value) = pyyaml::read_bytes(data) else { return };
    let mut expected = String::new();
    let mut left = MOST;
    if !show(&value, &mut expected, &mut left) {
        return;
    }
    let message = Message::new("sleep", "success", value.clone());
    let engine = ENGINE.with(Rc::clone);
    let called = engine.call_after(&RuleInput {
        message: &message,
        config: &value,
        checklist: &value,
        cycles: None,
        now: &system::begin(),
    });
    if let Err(error) = called.result {
        panic!("{error}");
    }
    let seen: String = called.log.into_iter().map(|line| line.text).collect();
    assert_eq!(seen, expected);
}

fn engine() -> Engine {
    let limits = CallLimits {
        time: Duration::from_secs(60),
        instructions: 20_000_000,
        log_bytes: 8 << 20,
        ..CallLimits::default()
    };
    let file = RuleFile { name: "next_workers.lua".to_owned(), text: RULES.to_owned() };
    let options = EngineOptions { limits, ..EngineOptions::default() };
    Engine::of_files(&[file], "next_workers", &options).expect("the rules load")
}

/// What the rule makes of a value; false if that is too much for it.
fn show(value: &Value, out: &mut String, left: &mut usize) -> bool {
    *left = left.saturating_sub(1);
    let bytes = |bytes: &[u8]| {
        let sum = bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
        format!("{}:{sum}", bytes.len())
    };
    match value {
        Value::Null => out.push('n'),
        Value::Bool(flag) => write!(out, "{flag}").expect("a String takes it"),
        Value::Int(number) => write!(out, "{number}").expect("a String takes it"),
        Value::BigInt(number) => out.push_str(&bytes(number.to_string().as_bytes())),
        Value::Float(_) => out.push('f'),
        Value::Str(text) => out.push_str(&bytes(text.as_bytes())),
        Value::Bytes(content) => out.push_str(&bytes(content)),
        Value::Date(_) | Value::DateTime(_) => out.push('d'),
        Value::List(items) => {
            return entries((1_i64..).map(Value::from).zip(items.iter()), out, left);
        }
        Value::Map(map) if map.keys().any(|key| looks_like_another(key, |text| map.contains_key(text))) => {
            return false;
        }
        Value::Set(set) if set.iter().any(|key| looks_like_another(key, |text| set.contains(text))) => {
            return false;
        }
        Value::Map(map) => return entries(map.iter().map(|(key, value)| (key.clone(), value)), out, left),
        Value::Set(members) => {
            return entries(members.iter().map(|member| (member.clone(), &Value::Bool(true))), out, left);
        }
    }
    *left > 0 && out.len() < 100_000
}

/// Whether a key is a string for Lua, and there is a text that is the same string.
fn looks_like_another(key: &Value, has: impl Fn(&Value) -> bool) -> bool {
    match key {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).is_ok_and(|text| has(&text.into())),
        Value::BigInt(number) => has(&number.to_string().into()),
        _ => false,
    }
}

fn entries<'a>(
    entries: impl Iterator<Item = (Value, &'a Value)>,
    out: &mut String,
    left: &mut usize,
) -> bool {
    out.push('{');
    for (key, value) in entries {
        // A rule cannot use tables as keys to look one up; YAML has no such keys either.
        if !show(&key, out, left) {
            return false;
        }
        out.push('=');
        if !show(value, out, left) {
            return false;
        }
        out.push(';');
    }
    out.push('}');
    true
}
