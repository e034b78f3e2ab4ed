//! [`Message`]: a message between workers and the manager, and its YAML on the wire.

use std::fmt;

use crate::cycle::Cycle;
use pyyaml::{Keys, ReadError, Value};

/// The environment variable with the number of a worker's run, which its messages have under the key `run`.
pub const RUN_ID: &str = "NOWCAST_RUN_ID";

/// The environment variable with the cycle of a worker's run, if it has one.
pub const CYCLE: &str = "NOWCAST_CYCLE";

/// The environment variable with a worker's name, for `nowcast tell` and `need` in its script.
pub const WORKER: &str = "NOWCAST_WORKER";

/// The environment variable with the path of the configuration file.
pub const CONFIG: &str = "NOWCAST_YAML";

/// The most bytes of a value that [`Message::peek`] reads.
const MAX_PEEKED: usize = 200;

/// A worker's message to the manager, or the manager's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The name of the sending worker, or `manager`.
    pub source: String,
    /// A message type of that source in the message registry.
    pub r#type: String,
    /// The value for the checklist; [`Value::Null`] for none.
    pub payload: Value,
    /// The sender's id of the message, by which repeated ones are recognised. NEMO_Nowcast's workers send none.
    pub id: Option<String>,
    /// The run that sends it. NEMO_Nowcast's workers send none.
    pub run: Option<String>,
    /// Its cycle: the one that its sender names until it is decided, then the one that it has.
    pub cycle: Option<Cycle>,
    /// The text that its sender names as its cycle, if that is not a label. It is not stored.
    pub invalid_cycle: Option<String>,
}

impl Message {
    /// Create a message without `id`, `run` and `cycle`.
    pub fn new(source: impl Into<String>, r#type: impl Into<String>, payload: Value) -> Self {
        let (source, r#type) = (source.into(), r#type.into());
        Self { source, r#type, payload, id: None, run: None, cycle: None, invalid_cycle: None }
    }

    /// Decode a message from the wire. Unknown keys are ignored, as are `id` and `run` of other types than text and a
    /// `cycle` that is not a label: other programs may use these keys.
    ///
    /// # Errors
    ///
    /// If the bytes are not YAML in UTF-8, or the YAML is not a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let value = pyyaml::read_bytes(bytes)
            .map_err(|error| DecodeError::new(Fault::NotYaml(error), &Value::Null))?;
        let fail = |fault| DecodeError::new(fault, &value);
        if value.is_null() {
            return Err(fail(Fault::Empty));
        }
        if value.as_map().is_none() {
            return Err(fail(Fault::NotMapping(value.kind())));
        }
        let text = |key| match value.get(key) {
            None => Err(fail(Fault::Missing(key))),
            Some(Value::Str(text)) => Ok(text.to_string()),
            Some(other) => Err(fail(Fault::NotText { key, kind: other.kind() })),
        };
        let (cycle, invalid_cycle) = named_cycle(optional_text(&value, "cycle"));
        Ok(Self {
            source: text("source")?,
            r#type: text("type")?,
            payload: value.get("payload").cloned().ok_or_else(|| fail(Fault::Missing("payload")))?,
            id: optional_text(&value, "id"),
            run: optional_text(&value, "run"),
            cycle,
            invalid_cycle,
        })
    }

    /// Find the keys of a message without its payload, and without decoding it: in block style, which `yaml.dump` writes, each
    /// stands at the beginning of a line. `None` if source or type is not found.
    #[must_use]
    pub fn peek(text: &str) -> Option<Self> {
        let find = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))?;
            let value = Some(value).filter(|value| value.len() <= MAX_PEEKED)?;
            pyyaml::read(value).ok()?.as_str().map(str::to_owned)
        };
        let (cycle, invalid_cycle) = named_cycle(find("cycle"));
        Some(Self {
            source: find("source")?,
            r#type: find("type")?,
            payload: Value::Null,
            id: find("id"),
            run: find("run"),
            cycle,
            invalid_cycle,
        })
    }

    /// Encode the message for the wire, as `yaml.dump` writes the mapping, with all keys sorted.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut pairs = vec![
            ("payload", self.payload.clone()),
            ("source", self.source.as_str().into()),
            ("type", self.r#type.as_str().into()),
        ];
        pairs.extend(self.id.as_deref().map(|id| ("id", id.into())));
        pairs.extend(self.run.as_deref().map(|run| ("run", run.into())));
        pairs.extend(self.cycle.as_ref().map(|cycle| ("cycle", cycle.as_str().into())));
        pyyaml::write(&pairs.into_iter().collect(), Keys::Sorted)
    }
}

/// Return the cycle that a text names, or else the text.
fn named_cycle(text: Option<String>) -> (Option<Cycle>, Option<String>) {
    let cycle = text.as_deref().and_then(|text| Cycle::parse(text).ok());
    let invalid = text.filter(|_| cycle.is_none());
    (cycle, invalid)
}

fn optional_text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Why bytes are not a message, with the parts that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The fault.
    pub fault: Fault,
    /// The sending worker, if it could be read.
    pub worker: Option<String>,
    /// The type of the message, if it could be read.
    pub message_type: Option<String>,
}

/// A fault of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not YAML.
    NotYaml(ReadError),
    /// It is empty or null.
    Empty,
    /// It is not a mapping.
    NotMapping(&'static str),
    /// A key is missing.
    Missing(&'static str),
    /// The value of a key is not text.
    NotText {
        /// The key.
        key: &'static str,
        /// The kind of its value.
        kind: &'static str,
    },
}

impl DecodeError {
    fn new(fault: Fault, value: &Value) -> Self {
        Self { fault, worker: optional_text(value, "source"), message_type: optional_text(value, "type") }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.worker, &self.message_type) {
            (Some(worker), Some(r#type)) => write!(out, "message of type {type:?} from {worker:?}: ")?,
            (Some(worker), None) => write!(out, "message from {worker:?}: ")?,
            (None, Some(r#type)) => write!(out, "message of type {type:?}: ")?,
            (None, None) => write!(out, "message: ")?,
        }
        match &self.fault {
            Fault::NotYaml(error) => write!(out, "not YAML: {error}")?,
            Fault::Empty => write!(out, "it is empty")?,
            Fault::NotMapping(kind) => write!(out, "it is {kind}, not a mapping")?,
            Fault::Missing(key) => write!(out, "the key {key} is missing")?,
            Fault::NotText { key, kind } => write!(out, "{key} is {kind}, not text")?,
        }
        write!(out, "; a message is a YAML mapping with source and type as text and payload")
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::NotYaml(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_encoded_with_sorted_keys_and_decoded_again() {
        let message =
            Message { id: Some("7".to_owned()), ..Message::new("sleep", "success", Value::from(5)) };
        assert_eq!(message.encode(), "id: '7'\npayload: 5\nsource: sleep\ntype: success\n");
        assert_eq!(Message::decode(message.encode().as_bytes()), Ok(message));
    }

    #[test]
    fn an_error_says_what_is_wrong_and_who_sent_it() {
        for (bytes, expected) in [
            (&b""[..], "message: it is empty"),
            (b"[1]", "message: it is a list, not a mapping"),
            (b"source: sleep", "message from \"sleep\": the key type is missing"),
            (
                b"{source: sleep, type: success}",
                "message of type \"success\" from \"sleep\": the key payload is missing",
            ),
            (
                b"{source: 1, type: success, payload: 1}",
                "message of type \"success\": source is an integer, not text",
            ),
            (b"{", "message: not YAML: "),
        ] {
            let error = Message::decode(bytes).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_keys_of_a_message_are_found_without_decoding_it() {
        let payload = pyyaml::read("{source: other, text: \"a\\nsource: other\"}").unwrap();
        let message = Message {
            id: Some("7".to_owned()),
            run: Some("12".to_owned()),
            ..Message::new("make it: so", "success", payload)
        };
        let peeked = Message::peek(&message.encode());
        assert_eq!(peeked, Some(Message { payload: Value::Null, ..message }));
        for unknown in
            ["", "{source: sleep, type: success, payload: 1}", "source: sleep\n", "source: [\ntype: a"]
        {
            assert_eq!(Message::peek(unknown), None, "{unknown}");
        }
        let long = format!("source: {}\ntype: success", "x".repeat(1_000));
        assert_eq!(Message::peek(&long), None);
    }

    #[test]
    fn ids_of_other_types_than_text_are_ignored() {
        let message = Message::decode(b"{source: a, type: b, payload: null, id: 7, run: '12'}").unwrap();
        assert_eq!((message.id, message.run.as_deref()), (None, Some("12")));
    }
}
