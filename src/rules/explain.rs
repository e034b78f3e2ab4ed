//! What stands beneath an error: the line of the rules, the key that was not there, the message. It finds no
//! errors, it explains them.

use std::fmt::Write;

use super::reads::key_text;
use super::suggest::missing_key;
use crate::message::Message;
use crate::yaml::{Map, Value, python};

/// The longest line of the rules that is shown, in characters.
const LONGEST_LINE: usize = 160;

/// The longest payload that is shown, in characters.
const LONGEST_PAYLOAD: usize = 160;

/// A look for a key that was not there, or was null.
#[derive(Debug, Clone)]
pub(super) struct Missed {
    /// What was looked into.
    pub(super) container: Value,
    pub(super) key: Value,
    /// Where in the checklist that is: `NEMO run: nowcast`; empty for the checklist itself, `None` for what is not in it.
    pub(super) path: Option<String>,
}

impl Missed {
    /// Whether Lua's words for a nil value are about this key.
    fn is_meant(&self, text: &str) -> bool {
        let is_of_nil =
            text.contains("a nil value") || text.contains("with nil") || text.contains("(got nil)");
        // Lua names the key where it is text; a variable may hold anything that was looked up before.
        let named = text.split_once("(field '").and_then(|(_, rest)| rest.split_once("')"));
        let is_key = |field: &str| match self.key.as_str() {
            Some(key) => key == field || field == "?",
            None => ["?", "integer index"].contains(&field),
        };
        is_of_nil && named.is_none_or(|(field, _)| is_key(field))
    }

    /// `the checklist has no "nowcast" under NEMO run; the keys there are: …`
    fn text(&self) -> String {
        let key = match &self.key {
            Value::Str(text) => format!("{text:?}"),
            other => key_text(other),
        };
        let place = match self.path.as_deref() {
            None => format!("there is no {key}"),
            Some("") => format!("the checklist has no {key}"),
            Some(path) => format!("the checklist has no {key} under {path}"),
        };
        match &self.container {
            Value::Map(map) if map.get(&self.key).is_some_and(Value::is_null) => match self.path.as_deref() {
                Some(path) if !path.is_empty() => format!("{key} under {path} of the checklist is null"),
                Some(_) => format!("{key} of the checklist is null"),
                None => format!("{key} is null"),
            },
            Value::Map(map) => place + &keys_there(map, &self.key),
            Value::List(items) => format!("{place}; it is a list of {}", items.len()),
            _ => place,
        }
    }
}

fn keys_there(map: &Map, key: &Value) -> String {
    let keys: Vec<String> = map.keys().take(200).map(key_text).collect();
    missing_key(&keys, map.len(), key.as_str())
}

/// A line of a file, with its number, as `  12 | text`.
pub(super) fn line(text: &str, number: usize) -> Option<String> {
    let line = text.lines().nth(number.checked_sub(1)?)?.replace('\t', "    ");
    let shown: String = line.chars().take(LONGEST_LINE).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    Some(format!("{number:>4} | {}{more}", shown.trim_end()))
}

/// What stands between an error and its traceback.
pub(super) fn beneath(
    error: &str,
    line: Option<String>,
    missed: Option<&Missed>,
    message: &Message,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(line) = line {
        let _ = write!(text, "\n{line}");
    }
    if let Some(missed) = missed.filter(|missed| missed.is_meant(error)) {
        let _ = write!(text, "\n     = {}", missed.text());
    }
    let payload = match &message.payload {
        Value::Null => String::new(),
        payload => match python::repr_up_to(payload, LONGEST_PAYLOAD) {
            Some(shown) => format!(", payload {shown}"),
            None => ", with a long payload".to_owned(),
        },
    };
    let _ = write!(text, "\n     = the message was {} ({}){payload}", message.source, message.r#type);
    text
}
