//! Records the parts of the checklist that a rule reads, so that its decision can be explained.
//!
//! The record is small: after [`MOST`] parts a last line says that there are more, and further reads cost nothing. It
//! must never hold values, only keys.

use error_text::cut;
use pyyaml::Value;

/// The most parts that are listed.
const MOST: usize = 50;
/// The longest text of a part, in characters.
const LONGEST: usize = 200;
/// The longest key that is kept, in bytes: enough for [`LONGEST`] characters of UTF-8.
const LONGEST_KEY: usize = 4 * LONGEST;

/// The last line, if there were more parts than [`MOST`].
const MORE: &str = "… and more";

/// Add a text to a list unless it is there, up to [`MOST`].
pub(super) fn add_text(texts: &mut Vec<String>, text: &str) {
    let text = one_line(text);
    let text = cut(&text, LONGEST).into_owned();
    if texts.len() > MOST || texts.contains(&text) {
        return;
    }
    texts.push(if texts.len() == MOST { MORE.to_owned() } else { text });
}

fn one_line(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

/// A list, a mapping or a set of the checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadNode(usize);

/// The result of a lookup of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyFound {
    /// A value that has no parts.
    Value,
    /// A list, a mapping or a set.
    Container,
    Nothing,
}

/// How a rule used a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartUse {
    /// Not used, or only passed on the way to a part below.
    Passed,
    /// A container was returned, but nothing in it was read.
    Taken,
    /// A value was read, or a container was iterated over or counted.
    Read,
    /// There is no such key.
    Missing,
}

#[derive(Debug)]
struct ReadPart {
    parent: usize,
    key: Value,
    usage: PartUse,
    /// Whether the rule iterated over all of it, or counted it.
    is_walked: bool,
    is_ordered: bool,
    below: Vec<usize>,
}

/// The parts of the checklist that the running call read.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The first part is the checklist itself.
    parts: Vec<ReadPart>,
    /// The parts in the order in which they were first used.
    order: Vec<usize>,
    /// The number of parts that are listed.
    count: usize,
    is_full: bool,
}

impl Reads {
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.order.clear();
        self.count = 0;
        self.is_full = false;
    }

    /// Return the part for the checklist itself.
    pub(super) fn root(&mut self) -> ReadNode {
        if self.parts.is_empty() {
            self.add(0, &Value::Null);
        }
        ReadNode(0)
    }

    /// Return whether no more parts are listed.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    fn add(&mut self, parent: usize, key: &Value) -> usize {
        let key = clipped(key);
        self.parts.push(ReadPart {
            parent,
            key,
            usage: PartUse::Passed,
            is_walked: false,
            is_ordered: false,
            below: Vec::new(),
        });
        self.parts.len() - 1
    }

    /// Return the part under a key.
    pub(super) fn below(&mut self, ReadNode(parent): ReadNode, key: &Value) -> ReadNode {
        let known =
            self.parts[parent].below.iter().copied().find(|part| is_same(&self.parts[*part].key, key));
        ReadNode(known.unwrap_or_else(|| {
            let part = self.add(parent, key);
            self.parts[parent].below.push(part);
            part
        }))
    }

    /// Return whether the rule iterated over a part, or counted it.
    pub(super) fn is_walked(&self, node: ReadNode) -> bool {
        self.parts[node.0].is_walked
    }

    /// Record a lookup of a key. Return the part under the key.
    pub(super) fn note_read(&mut self, container: ReadNode, key: &Value, found: KeyFound) -> ReadNode {
        let node = self.below(container, key);
        self.pass(container);
        self.mark(
            node,
            match found {
                KeyFound::Value => PartUse::Read,
                KeyFound::Container => PartUse::Taken,
                KeyFound::Nothing => PartUse::Missing,
            },
        );
        node
    }

    /// Record that the rule iterated over a container, or counted its entries.
    pub(super) fn walk(&mut self, node: ReadNode) {
        if self.is_full || self.parts[node.0].is_walked {
            return;
        }
        self.parts[node.0].is_walked = true;
        self.mark(node, PartUse::Read);
    }

    /// Unlist a container that was only a step to a part below.
    fn pass(&mut self, ReadNode(part): ReadNode) {
        if self.parts[part].usage == PartUse::Taken {
            self.parts[part].usage = PartUse::Passed;
            self.count -= 1;
        }
    }

    fn mark(&mut self, ReadNode(part): ReadNode, usage: PartUse) {
        let is_step = !self.parts[part].below.is_empty();
        match (self.parts[part].usage, usage) {
            (PartUse::Passed, PartUse::Taken) if is_step => {}
            (PartUse::Passed, _) if self.count == MOST => self.is_full = true,
            (PartUse::Passed, _) => {
                self.count += 1;
                self.parts[part].usage = usage;
                if !std::mem::replace(&mut self.parts[part].is_ordered, true) {
                    self.order.push(part);
                }
            }
            (PartUse::Taken, PartUse::Read) => self.parts[part].usage = usage,
            _ => {}
        }
    }

    /// List the parts in the order in which they were first used, each once: `weather forecast: 12`.
    pub(super) fn list(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::with_capacity(self.count + 1);
        for part in self.order.iter().filter(|part| self.parts[**part].usage != PartUse::Passed) {
            let text = self.text(*part);
            // The text `12` and the number, and long keys with the same start, look the same.
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        if self.is_full {
            texts.push(MORE.to_owned());
        }
        texts
    }

    fn text(&self, part: usize) -> String {
        let missing = if self.parts[part].usage == PartUse::Missing { " (missing)" } else { "" };
        if part == 0 {
            return "(the whole checklist)".to_owned();
        }
        self.path(ReadNode(part)) + missing
    }

    /// Return the keys that lead to a part, `NEMO run: nowcast`; empty for the checklist itself.
    pub(super) fn path(&self, ReadNode(part): ReadNode) -> String {
        let mut keys = Vec::new();
        let mut at = part;
        while at != 0 {
            keys.push(key_text(&self.parts[at].key));
            at = self.parts[at].parent;
        }
        keys.reverse();
        cut(&keys.join(": "), LONGEST).into_owned()
    }
}

/// Return a key, cut to [`LONGEST_KEY`].
fn clipped(key: &Value) -> Value {
    match key {
        Value::Str(text) if text.len() > LONGEST_KEY => Value::from(start(text)),
        Value::Bytes(bytes) if bytes.len() > LONGEST_KEY => Value::Bytes(bytes[..LONGEST_KEY].into()),
        other => other.clone(),
    }
}

fn is_same(kept: &Value, key: &Value) -> bool {
    match (kept, key) {
        (Value::Str(kept), Value::Str(key)) => **kept == *start(key),
        (Value::Bytes(kept), Value::Bytes(key)) => **kept == key[..key.len().min(LONGEST_KEY)],
        _ => kept == key,
    }
}

fn start(text: &str) -> &str {
    let end = (0..=LONGEST_KEY.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Format a key for people, on one line.
pub(crate) fn key_text(key: &Value) -> String {
    match key {
        Value::Str(text) => one_line(text),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Bool(flag) => flag.to_string(),
        Value::Date(date) => date.to_string(),
        Value::DateTime(time) => time.civil.to_string(),
        other => format!("({})", other.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note_read(reads: &mut Reads, keys: &[&str], found: KeyFound) {
        let mut node = reads.root();
        for (at, key) in keys.iter().enumerate() {
            let found = if at + 1 == keys.len() { found } else { KeyFound::Container };
            node = reads.note_read(node, &Value::from(*key), found);
        }
    }

    #[test]
    fn a_step_on_the_way_is_left_out() {
        let mut reads = Reads::default();
        note_read(&mut reads, &["a"], KeyFound::Container);
        assert_eq!(reads.list(), ["a"]);
        note_read(&mut reads, &["a", "b"], KeyFound::Value);
        note_read(&mut reads, &["x"], KeyFound::Nothing);
        note_read(&mut reads, &["a", "b"], KeyFound::Value);
        note_read(&mut reads, &["a"], KeyFound::Container);
        assert_eq!(reads.list(), ["a: b", "x (missing)"]);
        let node = reads.root();
        let node = reads.below(node, &Value::from("a"));
        reads.walk(node);
        assert_eq!(reads.list(), ["a", "a: b", "x (missing)"], "going through it is more than a step");
        reads.clear();
        assert!(reads.list().is_empty());
    }

    #[test]
    fn the_kept_keys_are_bounded() {
        let mut reads = Reads::default();
        note_read(&mut reads, &[&"é".repeat(100_000)], KeyFound::Nothing);
        note_read(&mut reads, &[&"é".repeat(100_001)], KeyFound::Nothing);
        assert_eq!(reads.list(), [format!("{}… (missing)", "é".repeat(LONGEST))]);
        assert!(matches!(&reads.parts[1].key, Value::Str(text) if text.len() <= LONGEST_KEY));
        let mut number = 0;
        while !reads.is_full() {
            note_read(&mut reads, &["loop", &number.to_string()], KeyFound::Value);
            number += 1;
        }
        assert_eq!(number, 50);
        let list = reads.list();
        assert_eq!((list.len(), list[MOST].as_str()), (MOST + 1, "… and more"));
        assert_eq!(list[1], "loop: 0");
    }
}
