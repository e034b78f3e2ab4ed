//! [`Notes`]: the messages that joins by cycle, joins since a moment and `last(…)` can count.
//!
//! A message is noted before its rule is called. A run with its retries and reruns is one *chain*: its latest run counts, with all
//! of its messages. Nothing here knows which cycles there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::as_yaml;
use crate::chains::Chains;
pub use crate::chains::{Chain, ChainMessage};
use crate::clock::Steady;
use crate::cycle::Cycle;
use crate::run::{Number, RunId};
use pyyaml::Value;

/// The most chains of a worker that notes hold; the oldest is forgotten first. A cycle has a few dozen at most.
pub const MOST_CHAINS: usize = 1_000;

/// The largest payload that is noted, in bytes of memory. A larger one is in the journal only.
pub const LARGEST_PAYLOAD: usize = 65_536;

/// The same for the notes of one cycle: there may be thousands of cycles.
pub const LARGEST_CYCLE_PAYLOAD: usize = 8_192;

/// A message that was noted. Its payload is the record's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The event.
    pub message: Number,
    /// The sender.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// When it was received, by the wall clock: the `now()` of its rule.
    pub at: Timestamp,
    /// When that was in steady time; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady: Option<Steady>,
    /// The run that it reports for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The first run of its chain, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<RunId>,
    /// Its cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// Whether its payload is not noted in its cycle, since the notes of cycles take too much memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_payload: bool,
}

impl Note {
    /// Return the number of its chain: that of the first run, or of the message if it reports for no run.
    #[must_use]
    pub fn chain(&self) -> Number {
        self.origin.or(self.run).unwrap_or(self.message)
    }
}

/// The last message of a worker and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    /// The event.
    pub message: Number,
    /// When it was received, by the wall clock.
    pub at: Timestamp,
    /// Its cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// Its payload; `None` if it was larger than [`LARGEST_PAYLOAD`].
    #[serde(with = "as_optional_yaml")]
    pub payload: Option<Value>,
}

/// The notes of one cycle, or of all messages. Cloning shares everything, and a copy that gets a message shares most of the chains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "NotesData")]
pub struct Notes(Arc<NotesData>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct NotesData {
    /// By worker and type.
    last: BTreeMap<String, BTreeMap<String, LastMessage>>,
    /// By worker.
    chains: BTreeMap<String, Chains>,
    /// The bytes of memory that all this takes, approximately.
    #[serde(skip)]
    bytes: usize,
}

impl From<NotesData> for Notes {
    fn from(mut data: NotesData) -> Self {
        data.measure();
        Self(Arc::new(data))
    }
}

impl NotesData {
    fn put_last(&mut self, worker: &str, r#type: &str, last: LastMessage) {
        self.bytes += last_bytes(r#type, &last);
        let types = self.last.entry(worker.to_owned()).or_default();
        let before = types.insert(r#type.to_owned(), last);
        self.bytes -= before.map_or(0, |before| last_bytes(r#type, &before));
    }

    fn measure(&mut self) {
        let last = self.last.values().flatten().map(|(r#type, last)| last_bytes(r#type, last));
        let chains = self.chains.values().flat_map(Chains::iter).map(|(_, chain)| chain_bytes(chain));
        self.bytes = last.chain(chains).sum();
    }
}

/// Bytes of an allocation and its place in a map.
const ENTRY: usize = 64;

fn last_bytes(r#type: &str, last: &LastMessage) -> usize {
    let payload = last.payload.as_ref().map_or(0, Value::memory_size);
    ENTRY + size_of::<LastMessage>() + r#type.len() + payload
}

fn chain_bytes(chain: &Chain) -> usize {
    let messages = chain.messages.iter().map(|message| size_of::<ChainMessage>() + message.r#type.len());
    ENTRY + size_of::<Chain>() + messages.sum::<usize>()
}

// Derived with `into`, it would copy everything first.
impl Serialize for Notes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Notes {
    /// Return whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.chains.is_empty() && self.0.last.is_empty()
    }

    /// Return how many bytes of memory they take, approximately.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// Return the last message of a worker and type.
    #[must_use]
    pub fn last(&self, worker: &str, r#type: &str) -> Option<&LastMessage> {
        self.0.last.get(worker)?.get(r#type)
    }

    /// Return the workers and types of the messages.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .last
            .iter()
            .flat_map(|(worker, types)| types.keys().map(move |r#type| (worker.as_str(), r#type.as_str())))
    }

    /// Return the chains of a worker, oldest first.
    pub fn chains(&self, worker: &str) -> impl Iterator<Item = (Number, &Chain)> {
        self.0.chains.get(worker).into_iter().flat_map(Chains::iter)
    }

    /// Return the chain in which a message of a worker counts.
    #[must_use]
    pub fn chain_of(&self, worker: &str, message: Number) -> Option<Number> {
        let counts = |chain: &Chain| chain.messages.iter().any(|counting| counting.message == message);
        self.chains(worker).find(|(_, chain)| counts(chain)).map(|(number, _)| number)
    }

    /// Return the messages that count in joins, by worker, the oldest chain of each first.
    pub fn messages(&self) -> impl Iterator<Item = (&str, &ChainMessage)> {
        self.0.chains.iter().flat_map(|(worker, chains)| {
            chains.iter().flat_map(|(_, chain)| &chain.messages).map(|message| (worker.as_str(), message))
        })
    }

    /// Forget messages. Return the workers and types whose last message was one of them.
    pub(crate) fn remove(&mut self, messages: &BTreeSet<Number>) -> Vec<(String, String)> {
        let data = Arc::make_mut(&mut self.0);
        data.chains.retain(|_, chains| {
            chains.retain(|chain| {
                chain.messages.retain(|message| !messages.contains(&message.message));
                !chain.messages.is_empty()
            });
            !chains.is_empty()
        });
        let mut removed = Vec::new();
        data.last.retain(|worker, types| {
            types.retain(|r#type, last| {
                let is_removed = messages.contains(&last.message);
                removed.extend(is_removed.then(|| (worker.clone(), r#type.clone())));
                !is_removed
            });
            !types.is_empty()
        });
        data.measure();
        removed
    }

    /// Make a message the last one of a worker and type.
    pub(crate) fn set_last(&mut self, worker: &str, r#type: &str, last: LastMessage) {
        Arc::make_mut(&mut self.0).put_last(worker, r#type, last);
    }

    /// Note a message, with its payload unless that is too large.
    pub(crate) fn add(&mut self, note: &Note, payload: Option<&Value>) {
        let data = Arc::make_mut(&mut self.0);
        let (message, at, cycle, payload) = (note.message, note.at, note.cycle.clone(), payload.cloned());
        data.put_last(&note.worker, &note.r#type, LastMessage { message, at, cycle, payload });
        let chains = data.chains.entry(note.worker.clone()).or_default();
        data.bytes -= chains.get(note.chain()).map_or(0, chain_bytes);
        let chain = chains.entry(note.chain(), || Chain { run: note.run, messages: Vec::new() });
        // The latest run counts. A late message of an earlier one changes nothing.
        if note.run > chain.run {
            *chain = Chain { run: note.run, messages: Vec::new() };
        }
        if note.run == chain.run {
            chain.messages.retain(|message| message.r#type != note.r#type);
            let (r#type, steady) = (note.r#type.clone(), note.steady);
            chain.messages.push(ChainMessage { message, r#type, at, steady });
        }
        data.bytes += chain_bytes(chain);
        if chains.len() > MOST_CHAINS {
            // The oldest, unless that is the one that has just had a message.
            let oldest = chains.iter().map(|(number, _)| number).find(|number| *number != note.chain());
            let forgotten = oldest.and_then(|oldest| chains.remove(oldest));
            data.bytes -= forgotten.map_or(0, |chain| chain_bytes(&chain));
        }
    }
}

/// A YAML value in JSON, as YAML text; null if there is none.
mod as_optional_yaml {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Value, as_yaml};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Stored(#[serde(with = "as_yaml")] Value);

    // The signature is that of serde.
    #[allow(clippy::ref_option)]
    pub(super) fn serialize<S: Serializer>(value: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
        value.clone().map(Stored).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Ok(Option::<Stored>::deserialize(deserializer)?.map(|stored| stored.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(message: u64, r#type: &str, run: Option<u64>, origin: Option<u64>) -> Note {
        Note {
            message: Number(message),
            worker: "rivers".to_owned(),
            r#type: r#type.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            steady: None,
            run: run.map(Number),
            origin: origin.map(Number),
            cycle: None,
            without_payload: false,
        }
    }

    /// The messages that count, by chain.
    fn counting(notes: &Notes) -> Vec<(u64, Vec<u64>)> {
        let messages = |chain: &Chain| chain.messages.iter().map(|message| message.message.0).collect();
        notes.chains("rivers").map(|(number, chain)| (number.0, messages(chain))).collect()
    }

    #[test]
    fn of_a_run_with_its_retries_and_reruns_the_latest_run_counts_with_all_its_messages() {
        let mut notes = Notes::default();
        for (message, r#type, run, origin) in [
            (10, "halfway", Some(4), None),
            (11, "failure", Some(4), None),
            (12, "success", None, None),
            (13, "halfway", Some(9), Some(4)),
            (14, "success", Some(9), Some(4)),
            (15, "success", Some(9), Some(4)),
            (16, "late", Some(4), None),
            (17, "success", Some(5), None),
        ] {
            notes.add(&note(message, r#type, run, origin), None);
        }
        assert_eq!(counting(&notes), [(4, vec![13, 15]), (5, vec![17]), (12, vec![12])]);
        let last = |r#type| notes.last("rivers", r#type).map(|last| last.message.0);
        assert_eq!((last("failure"), last("late"), last("success")), (Some(11), Some(16), Some(17)));
    }

    #[test]
    fn the_oldest_chain_is_forgotten_when_there_are_too_many() {
        let mut notes = Notes::default();
        let most = MOST_CHAINS as u64;
        for message in 1..=most + 1 {
            notes.add(&note(message, "success", None, None), None);
        }
        assert_eq!(notes.chains("rivers").count(), MOST_CHAINS);
        assert_eq!(notes.chains("rivers").next().map(|(number, _)| number.0), Some(2));
    }
}
