//! [`Cycles`]: what the state holds of cycles, and the notes of messages.
//!
//! It is a fold of changes like the checklist, and has no policy in it, so that a reader of the journal folds the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::clock::{Now, Steady, TimePoint};
use crate::cycle::Cycle;
use crate::notes::{Chain, LARGEST_CYCLE_PAYLOAD, LARGEST_PAYLOAD, LastMessage, Note, Notes};
use crate::run::Number;
use pyyaml::Value;

/// The most cycles that are kept. When one more begins, the one that has had nothing open for longest is forgotten.
pub const MOST_CYCLES: usize = 10_000;

/// The most labels of forgotten cycles that are known, so that one that returns is noticed.
const MOST_FORGOTTEN: usize = 1_000;

/// A cycle that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCycle {
    /// The event that began it. A cycle is earlier than another one if it began earlier.
    pub begun: Number,
    /// When that was.
    pub begun_at: TimePoint,
    /// Its last event.
    pub last: Number,
    /// When that was.
    pub last_at: TimePoint,
    /// The reason why it ended for the limits, or an operator's order; `None` while it takes slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<CycleMark>,
    /// The workers that were launched in it.
    #[serde(default, skip_serializing_if = "is_none_launched")]
    pub launched: Arc<BTreeSet<String>>,
    /// Its messages.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
}

/// The reason why a cycle ended for the limits, or an operator's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleMark {
    /// All messages of `cycles: done:` have come.
    Done {
        /// The last of them.
        message: Number,
        /// When that was, by the wall clock.
        at: Timestamp,
    },
    /// An operator cancelled it.
    Cancelled {
        /// The operator.
        user: String,
        /// When, by the wall clock.
        at: Timestamp,
    },
    /// An operator skipped it: nothing of it is stopped, but no limit waits for it.
    Skipped {
        /// The operator.
        user: String,
        /// When, by the wall clock.
        at: Timestamp,
    },
}

/// Which messages count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteScope {
    /// Those of a cycle.
    Cycle(Cycle),
    /// Those that were received since then, of any cycle and of none.
    Since(Timestamp),
}

/// The kept cycles, and the notes of messages. Cloning shares everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "CyclesData")]
pub struct Cycles(Arc<CyclesData>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct CyclesData {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    kept: BTreeMap<Cycle, KeptCycle>,
    /// The notes of all messages, whether they have a cycle or not.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    all: Notes,
    /// The labels of forgotten cycles, the latest at the end.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    forgotten: VecDeque<Cycle>,
    /// The bytes of the notes of the kept cycles.
    #[serde(skip)]
    bytes: usize,
}

// The signature is that of serde.
fn is_none_launched(launched: &Arc<BTreeSet<String>>) -> bool {
    launched.is_empty()
}

impl From<CyclesData> for Cycles {
    fn from(data: CyclesData) -> Self {
        let bytes = data.kept.values().map(|kept| kept.notes.bytes()).sum();
        Self(Arc::new(CyclesData { bytes, ..data }))
    }
}

// Derived with `into`, it would copy everything first.
impl Serialize for Cycles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Cycles {
    /// Return the notes of messages in their order, each with its payload. Their cycles begin with them.
    #[must_use]
    pub fn of_notes(notes: impl IntoIterator<Item = (Note, Value)>) -> Self {
        let mut cycles = Self::default();
        for (note, payload) in notes {
            if let Some(cycle) = &note.cycle {
                let at = TimePoint { wall: note.at, steady: Steady(note.at) };
                cycles.see(cycle, note.message, at);
            }
            cycles.note(&note, &payload);
        }
        cycles
    }

    /// Return the number of references to the notes. With more than one, the next message is noted in a copy.
    #[must_use]
    pub fn references(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Return a kept cycle.
    #[must_use]
    pub fn get(&self, cycle: &Cycle) -> Option<&KeptCycle> {
        self.0.kept.get(cycle)
    }

    /// Return how many bytes of memory the notes of the kept cycles take, approximately. Those of all messages are not in it: how many
    /// there are follows from the message registry.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// Return the kept cycles, by their labels.
    #[must_use]
    pub fn kept(&self) -> impl ExactSizeIterator<Item = (&Cycle, &KeptCycle)> {
        self.0.kept.iter()
    }

    /// Return whether an operator cancelled or skipped a cycle.
    #[must_use]
    pub fn is_abandoned(&self, cycle: &Cycle) -> bool {
        let mark = self.get(cycle).and_then(|kept| kept.mark.as_ref());
        matches!(mark, Some(CycleMark::Cancelled { .. } | CycleMark::Skipped { .. }))
    }

    /// Return whether a cycle was forgotten. Only the latest of those are known.
    #[must_use]
    pub fn is_forgotten(&self, cycle: &Cycle) -> bool {
        self.0.forgotten.contains(cycle)
    }

    /// Return the last message of a worker and type, in a cycle or at all.
    #[must_use]
    pub fn last(&self, worker: &str, r#type: &str, cycle: Option<&Cycle>) -> Option<&LastMessage> {
        match cycle {
            Some(cycle) => self.get(cycle)?.notes.last(worker, r#type),
            None => self.0.all.last(worker, r#type),
        }
    }

    /// Return the chains of a worker, of any cycle and of none, oldest first.
    pub fn chains(&self, worker: &str) -> impl Iterator<Item = (Number, &Chain)> {
        self.0.all.chains(worker)
    }

    /// Return the chains of a worker that have a message in a scope, each with the first such message, in the order of those.
    /// `type` is that of the message; `None` for any. A moment is one of the wall clock as it is set now.
    #[must_use]
    pub fn counting(
        &self,
        scope: &NoteScope,
        worker: &str,
        r#type: Option<&str>,
        now: Now,
    ) -> Vec<(Number, Number)> {
        let (notes, since) = match scope {
            NoteScope::Cycle(cycle) => match self.get(cycle) {
                Some(kept) => (&kept.notes, None),
                None => return Vec::new(),
            },
            NoteScope::Since(moment) => (&self.0.all, Some(*moment)),
        };
        let first = |(number, chain): (Number, &Chain)| {
            let mut counting = chain.messages.iter().filter(|message| {
                since.is_none_or(|since| message.received_at(now) >= since)
                    && r#type.is_none_or(|r#type| message.r#type == r#type)
            });
            counting.next().map(|message| (message.message, number))
        };
        let mut found: Vec<_> = notes.chains(worker).filter_map(first).collect();
        found.sort_unstable();
        found.into_iter().map(|(message, chain)| (chain, message)).collect()
    }

    /// Note a message. Its cycle must be kept.
    pub(crate) fn note(&mut self, note: &Note, payload: &Value) {
        let data = Arc::make_mut(&mut self.0);
        let size = payload.memory_size();
        let up_to = |largest: usize| Some(payload).filter(|_| size <= largest);
        data.all.add(note, up_to(LARGEST_PAYLOAD));
        if let Some(kept) = note.cycle.as_ref().and_then(|cycle| data.kept.get_mut(cycle)) {
            let before = kept.notes.bytes();
            kept.notes.add(note, up_to(LARGEST_CYCLE_PAYLOAD).filter(|_| !note.without_payload));
            data.bytes = data.bytes - before + kept.notes.bytes();
        }
    }

    /// An event of a cycle happened; a cycle that is not kept begins with it.
    pub(crate) fn see(&mut self, cycle: &Cycle, number: Number, at: TimePoint) {
        let data = Arc::make_mut(&mut self.0);
        if let Some(kept) = data.kept.get_mut(cycle) {
            (kept.last, kept.last_at) = (number, at);
            return;
        }
        data.forgotten.retain(|forgotten| forgotten != cycle);
        let begun = KeptCycle {
            begun: number,
            begun_at: at,
            last: number,
            last_at: at,
            mark: None,
            launched: Arc::default(),
            notes: Notes::default(),
        };
        data.kept.insert(cycle.clone(), begun);
    }

    /// A worker was launched in a cycle for the first time.
    pub(crate) fn add_launched(&mut self, cycle: &Cycle, worker: &str) {
        if let Some(kept) = Arc::make_mut(&mut self.0).kept.get_mut(cycle) {
            Arc::make_mut(&mut kept.launched).insert(worker.to_owned());
        }
    }

    /// Mark a cycle, or take its mark away.
    pub(crate) fn mark(&mut self, cycle: &Cycle, mark: Option<CycleMark>) {
        if let Some(kept) = Arc::make_mut(&mut self.0).kept.get_mut(cycle) {
            kept.mark = mark;
        }
    }

    /// Forget messages of a cycle. The last message of a worker and type is then the one before, as far as it is noted: without its payload
    /// within the cycle, and that of another cycle among all messages.
    pub(crate) fn rewind(&mut self, cycle: &Cycle, messages: &[Number]) {
        let data = Arc::make_mut(&mut self.0);
        let messages: BTreeSet<Number> = messages.iter().copied().collect();
        let Some(kept) = data.kept.get_mut(cycle) else { return };
        data.bytes -= kept.notes.bytes();
        for (worker, r#type) in kept.notes.remove(&messages) {
            let chains = kept.notes.chains(&worker).flat_map(|(_, chain)| &chain.messages);
            let of_type = chains.filter(|message| message.r#type == r#type);
            let Some(before) = of_type.max_by_key(|message| message.message) else { continue };
            let (message, at, cycle, payload) = (before.message, before.at, Some(cycle.clone()), None);
            kept.notes.set_last(&worker, &r#type, LastMessage { message, at, cycle, payload });
        }
        data.bytes += kept.notes.bytes();
        for (worker, r#type) in data.all.remove(&messages) {
            let of_cycles = data.kept.values().filter_map(|kept| kept.notes.last(&worker, &r#type));
            let Some(before) = of_cycles.max_by_key(|last| last.message).cloned() else { continue };
            data.all.set_last(&worker, &r#type, before);
        }
    }

    /// Forget a cycle, but not that there was one.
    pub(crate) fn forget(&mut self, cycle: &Cycle) {
        let data = Arc::make_mut(&mut self.0);
        if let Some(kept) = data.kept.remove(cycle) {
            data.bytes -= kept.notes.bytes();
            data.forgotten.push_back(cycle.clone());
            if data.forgotten.len() > MOST_FORGOTTEN {
                data.forgotten.pop_front();
            }
        }
    }
}
