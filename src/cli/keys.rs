//! Finds parts of the checklist by keys from the command line.

use std::process::ExitCode;

use super::print::{self, Json, plain};
use pyyaml::Value;

/// Return the value under the keys, from the top down; an error lists the keys that exist. `whole` names the value.
pub(super) fn pick(value: &Value, whole: &str, keys: &[String]) -> anyhow::Result<Value> {
    let mut value = value.clone();
    for (depth, key) in keys.iter().enumerate() {
        let Some(next) = find_key(&value, key).and_then(|key| child(&value, &key)) else {
            let place = if depth == 0 { whole.to_owned() } else { keys[..depth].join(": ") };
            anyhow::bail!("{key:?} is not in {place}; there {}", alternatives(&value));
        };
        value = next;
    }
    Ok(value)
}

/// Print a value: text without quotes, other values as YAML; or all as JSON.
pub(super) fn show(value: &Value, json: bool) -> ExitCode {
    if json { print::json(&Json(value)) } else { print::text(&format!("{}\n", plain(value))) }
}

/// Return the key of a value that a command line names: the text, or what YAML reads from it. `None` if the value has
/// neither.
pub(super) fn find_key(value: &Value, key: &str) -> Option<Value> {
    let read = pyyaml::read(key).ok();
    [Some(Value::from(key)), read].into_iter().flatten().find(|key| child(value, key).is_some())
}

pub(super) fn child(value: &Value, key: &Value) -> Option<Value> {
    match value {
        Value::Map(entries) => entries.get(key).cloned(),
        Value::List(items) => key.as_int().and_then(|at| items.get(usize::try_from(at).ok()?)).cloned(),
        _ => None,
    }
}

/// Return what a value has instead of a missing key.
fn alternatives(value: &Value) -> String {
    match value {
        Value::Map(entries) if entries.is_empty() => "is nothing".to_owned(),
        Value::Map(entries) => {
            let keys: Vec<String> = entries.keys().map(plain).collect();
            format!("are: {}", keys.join(", "))
        }
        Value::List(items) if items.is_empty() => "is an empty list".to_owned(),
        Value::List(items) => format!("is a list: 0 to {}", items.len() - 1),
        other => format!("is {}, which has no keys", other.kind()),
    }
}
