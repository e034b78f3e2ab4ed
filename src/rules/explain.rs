//! The lines below an error: the line of the rules, the missing key, the message. It must never raise errors, only
//! explain them.

use std::fmt::Write;

use super::missing_key::missing_key;
use super::origin;
use super::reads::key_text;
use nowcast_core::message::Message;
use pyyaml::{Map, Value, python};

/// The longest line of the rules that is shown, in characters.
const LONGEST_LINE: usize = 160;

/// The longest payload that is shown, in characters.
const LONGEST_PAYLOAD: usize = 160;

/// A lookup of a key that was missing, or whose value was null.
#[derive(Debug, Clone)]
pub(super) struct MissedKey {
    /// The value in which the key was looked up.
    pub(super) container: Value,
    pub(super) key: Value,
    /// The place of the container in the checklist: `NEMO run: nowcast`. Empty for the checklist itself, `None` for a
    /// value that is not in it.
    pub(super) path: Option<String>,
}

/// The likelihood that a missing key caused an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likely {
    Surely,
    Perhaps,
}

impl MissedKey {
    /// Return how likely it is that this key caused an error about a nil value; `None` if it did not. Lua's message
    /// names a field; a variable may have any value, so the rules' text up to the line of the error must name the key.
    fn is_meant(&self, error: &str, code: Option<(&str, usize)>) -> Option<Likely> {
        let is_of_nil = ["a nil value", "nil values", "compare nil", "with nil", "got nil"]
            .iter()
            .any(|words| error.contains(words));
        if !is_of_nil {
            return None;
        }
        let named = |kind: &str| Some(error.split_once(&format!("({kind} '"))?.1.split_once("')")?.0);
        if named("global").is_some() {
            return None;
        }
        if let Some(field) = named("field").or_else(|| named("method")) {
            let is_key = match self.key.as_str() {
                Some(key) => key == field || field == "?",
                None => ["?", "integer index"].contains(&field),
            };
            return is_key.then_some(Likely::Surely);
        }
        let expression = code.and_then(|(text, line)| match named("local").or_else(|| named("upvalue")) {
            Some(variable) => origin::of(variable, text, line),
            None => text.lines().nth(line.checked_sub(1)?),
        });
        let key = key_text(&self.key);
        let says_it = expression.is_some_and(|expression| origin::has_word(expression, &key));
        Some(if says_it { Likely::Surely } else { Likely::Perhaps })
    }

    /// Describe the lookup: `the checklist has no "nowcast" under NEMO run; the keys there are: …`.
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

/// Return a line of a file with its number, as `  12 | text`.
pub(super) fn line(text: &str, number: usize) -> Option<String> {
    let line = text.lines().nth(number.checked_sub(1)?)?.replace('\t', "    ");
    let shown: String = line.chars().take(LONGEST_LINE).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    Some(format!("{number:>4} | {}{more}", shown.trim_end()))
}

/// Return the text between an error and its traceback. `code` is the text of the file with the error, and the line.
pub(super) fn beneath(
    error: &str,
    code: Option<(&str, usize)>,
    missed: Option<&MissedKey>,
    message: &Message,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(line) = code.and_then(|(text, number)| line(text, number)) {
        let _ = write!(text, "\n{line}");
    }
    if let Some((missed, likely)) = missed.and_then(|missed| Some((missed, missed.is_meant(error, code)?))) {
        let before = match likely {
            Likely::Surely => "",
            Likely::Perhaps => "perhaps because of the last key looked for and not found: ",
        };
        let _ = write!(text, "\n     = {before}{}", missed.text());
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
