//! The names of a system as declarations for language servers: its workers, message types, hosts, and the keys of its checklist. It reads
//! nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::api::is_name;
use crate::config::Config;
use pyyaml::{Map, Value};

/// The depth of the checklist to which keys are declared.
const DEPTH: usize = 3;

/// The most keys of a mapping that are declared. One with more has data as keys, such as names of files.
const MOST_KEYS: usize = 100;

const HEAD: &str = "---@meta
-- Declarations of the names of this system, for language servers.
-- Written by `nowcast generate types`; do not edit: the command overwrites it.
";

/// Return the declarations of a system. Without a checklist, those keys are declared under which workers put their payloads.
#[must_use]
pub fn declarations(config: &Config, checklist: Option<&Map>) -> String {
    let workers = &config.registry.workers;
    let types: BTreeSet<&str> =
        workers.values().flat_map(|worker| worker.messages.keys()).map(String::as_str).collect();
    let hosts = config.hosts.keys().map(String::as_str).chain(["localhost"]);
    let mut text = HEAD.to_owned();
    text.push_str(&alias(
        "A worker of the message registry.",
        "WorkerName",
        workers.keys().map(String::as_str),
    ));
    text.push_str(&alias("A message type of any worker.", "MessageType", types));
    text.push_str(&alias("A host of `run: enabled hosts:` or `hosts:`, or this machine.", "HostName", hosts));
    text.push_str(&checklist_class(config, checklist));
    for (name, worker) in workers {
        text.push_str(&message_class(name, worker.messages.keys().map(String::as_str)));
    }
    text
}

/// Declare a type whose values are these texts. Other texts are accepted where a function takes any.
fn alias<'n>(description: &str, name: &str, values: impl IntoIterator<Item = &'n str>) -> String {
    let mut text = format!("\n--- {description}\n---@alias {name}\n");
    for value in values {
        let _ = writeln!(text, "---| {}", quoted(value));
    }
    text
}

/// Declare the messages of a worker, for `---@param msg` of its rule.
fn message_class<'n>(worker: &str, types: impl Iterator<Item = &'n str>) -> String {
    if !is_name(worker.as_bytes()) {
        return String::new();
    }
    let types: Vec<String> = types.map(quoted).collect();
    let types = if types.is_empty() { "string".to_owned() } else { types.join("|") };
    format!(
        "\n--- A message of {worker}.\n---@class Message.{worker}: Message\n---@field source {}\n---@field type {types}\n",
        quoted(worker)
    )
}

fn checklist_class(config: &Config, checklist: Option<&Map>) -> String {
    let mut text = "\n--- The state of the system, including the payload of the message. It is read-only: only payloads of workers change it.\n\
                    ---@class Checklist\n---@field [any] any\n"
        .to_owned();
    let keys = config.registry.workers.values().filter_map(|worker| worker.checklist_key.as_ref()?.as_str());
    let mut fields: Vec<(&str, String)> = Vec::new();
    for (key, value) in checklist.into_iter().flatten().take(MOST_KEYS) {
        fields.extend(key.as_str().map(|key| (key, type_of(value, 1))));
    }
    for key in keys {
        if !fields.iter().any(|(known, _)| *known == key) {
            fields.push((key, "any".to_owned()));
        }
    }
    for (key, r#type) in fields {
        let _ = writeln!(text, "---@field {} {type}", field(key));
    }
    text
}

/// Return the type of a value that a rule sees.
fn type_of(value: &Value, depth: usize) -> String {
    match value {
        Value::Null | Value::Bytes(_) | Value::Set(_) => "any".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Int(_) | Value::BigInt(_) => "integer".to_owned(),
        Value::Float(_) => "number".to_owned(),
        Value::Str(_) => "string".to_owned(),
        Value::Date(_) | Value::DateTime(_) => "Date".to_owned(),
        Value::List(items) => {
            let mut types: Vec<String> =
                items.iter().take(MOST_KEYS).map(|item| type_of(item, DEPTH)).collect();
            types.dedup();
            match &types[..] {
                [one] => format!("{one}[]"),
                _ => "any[]".to_owned(),
            }
        }
        Value::Map(entries) if depth >= DEPTH || entries.len() > MOST_KEYS || entries.is_empty() => {
            "table<any, any>".to_owned()
        }
        Value::Map(entries) => {
            let known = entries.iter().filter_map(|(key, value)| {
                Some(format!("{}: {}", field(key.as_str()?), type_of(value, depth + 1)))
            });
            let known: Vec<String> = known.collect();
            if known.is_empty() { "table<any, any>".to_owned() } else { format!("{{{}}}", known.join(", ")) }
        }
    }
}

/// Return a key as the name of a field.
fn field(key: &str) -> String {
    if is_name(key.as_bytes()) { key.to_owned() } else { format!("[{}]", quoted(key)) }
}

/// Return a text in quotes, in one line.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}
