//! Parts of the checklist by their keys, as they are typed on a command line.

use std::process::ExitCode;

use super::print::{self, Json, plain};
use pyyaml::Value;

/// What is under the keys, from the top down; an error names what is there instead. `whole` is what the value is called.
pub(super) fn pick(value: &Value, whole: &str, keys: &[String]) -> anyhow::Result<Value> {
    let mut value = value.clone();
    for (depth, key) in keys.iter().enumerate() {
        let Some(next) = step(&value, key).and_then(|key| child(&value, &key)) else {
            let place = if depth == 0 { whole.to_owned() } else { keys[..depth].join(": ") };
            anyhow::bail!("{key:?} is not in {place}; there {}", there(&value));
        };
        value = next;
    }
    Ok(value)
}

/// Prints a value: text as it is, all else as YAML; or as JSON.
pub(super) fn show(value: &Value, json: bool) -> ExitCode {
    if json { print::json(&Json(value)) } else { print::text(&format!("{}\n", plain(value))) }
}

/// What a key on the command line means in a value: the text if that is there, else what YAML reads in it.
/// `None` if neither is there.
pub(super) fn step(value: &Value, key: &str) -> Option<Value> {
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

/// What is there instead.
fn there(value: &Value) -> String {
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
