//! [`Emitter`]: block collections, indentation and the choice of a scalar's style.

use super::Keys;
use super::order::{compare, is_sortable};
use super::scalar::Scalar;
use crate::value::{Set, Value};

/// The column after which a line is folded at the next space.
pub(super) const WIDTH: usize = 80;

/// The number of spaces for each level.
const INDENT: usize = 2;

/// The length in bytes of a usual message: most documents are messages.
const MESSAGE: usize = 128;

/// The text that is being written, and what `PyYAML` remembers of its end.
pub(super) struct Emitter {
    keys: Keys,
    pub out: String,
    /// The number of characters on the current line.
    pub column: usize,
    /// Whether the last thing written needs no space after it.
    pub is_after_blank: bool,
    /// Whether the line holds nothing but indentation and the indicators `-`, `?`, `:`.
    pub is_indentation: bool,
    /// Whether the end of the document must be marked with `...`.
    is_open_ended: bool,
}

/// The role of a node for its parent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NodeRole {
    Root,
    Item,
    /// A key on the line of its value.
    SimpleKey,
    /// A value of a mapping, or a key after `?`.
    Entry,
}

impl Emitter {
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            out: String::with_capacity(MESSAGE),
            column: 0,
            is_after_blank: true,
            is_indentation: true,
            is_open_ended: false,
        }
    }

    /// Write the whole document.
    pub fn document(mut self, value: &Value) -> String {
        self.node(value, NodeRole::Root, None);
        self.indent(0);
        if self.is_open_ended {
            self.indicator("...", true);
            self.indent(0);
        }
        self.out
    }

    /// Write a node. `indent` is that of the parent; the root has none.
    fn node(&mut self, value: &Value, role: NodeRole, indent: Option<usize>) {
        match value {
            Value::List(items) => self.list(items, role, indent),
            Value::Map(map) => {
                let mut pairs: Vec<(&Value, &Value)> = map.iter().collect();
                if self.is_to_be_sorted(map.keys()) {
                    pairs.sort_by(|a, b| compare(a.0, b.0));
                }
                self.mapping(&pairs, indent);
            }
            Value::Set(set) => self.set(set, indent),
            _ => {
                if let Some(scalar) = Scalar::new(value) {
                    self.scalar(&scalar, role, indent);
                }
            }
        }
    }

    fn is_to_be_sorted<'v>(&self, keys: impl Iterator<Item = &'v Value>) -> bool {
        self.keys == Keys::Sorted && is_sortable(keys)
    }

    fn list(&mut self, items: &[Value], role: NodeRole, indent: Option<usize>) {
        if items.is_empty() {
            self.indicator_before_bracket("[");
            self.indicator("]", false);
            return;
        }
        let is_at_key = role == NodeRole::Entry && !self.is_indentation;
        let indent = match indent {
            None => 0,
            Some(indent) if is_at_key => indent,
            Some(indent) => indent + INDENT,
        };
        for item in items {
            self.indent(indent);
            self.block_indicator("-");
            self.node(item, NodeRole::Item, Some(indent));
        }
    }

    fn set(&mut self, set: &Set, indent: Option<usize>) {
        let mut members: Vec<(&Value, &Value)> = set.iter().map(|member| (member, &Value::Null)).collect();
        if self.is_to_be_sorted(set.iter()) {
            members.sort_by(|a, b| compare(a.0, b.0));
        }
        self.indicator("!!set", true);
        self.mapping(&members, indent);
    }

    fn mapping(&mut self, pairs: &[(&Value, &Value)], indent: Option<usize>) {
        if pairs.is_empty() {
            self.indicator_before_bracket("{");
            self.indicator("}", false);
            return;
        }
        let indent = indent.map_or(0, |indent| indent + INDENT);
        for (key, value) in pairs {
            self.indent(indent);
            self.key(key, indent);
            self.node(value, NodeRole::Entry, Some(indent));
        }
    }

    fn key(&mut self, key: &Value, indent: usize) {
        match Scalar::new(key) {
            Some(scalar) if scalar.is_simple_key() => {
                self.scalar(&scalar, NodeRole::SimpleKey, Some(indent));
                self.indicator(":", false);
            }
            _ if is_empty_collection(key) => {
                self.node(key, NodeRole::SimpleKey, Some(indent));
                self.indicator(":", false);
            }
            _ => {
                self.block_indicator("?");
                self.node(key, NodeRole::Entry, Some(indent));
                self.indent(indent);
                self.block_indicator(":");
            }
        }
    }

    fn scalar(&mut self, scalar: &Scalar<'_>, role: NodeRole, indent: Option<usize>) {
        let indent = indent.map_or(INDENT, |indent| indent + INDENT);
        let is_key = role == NodeRole::SimpleKey;
        let analysis = scalar.analysis;
        // A key is never empty and has no line break, so it allows each style that a value does.
        if scalar.is_implicit && analysis.allows_plain {
            if role == NodeRole::Root {
                self.is_open_ended = true;
            }
            self.plain(&scalar.text, indent, is_key);
            return;
        }
        if scalar.tag != "!!str" {
            self.indicator(scalar.tag, true);
        }
        if scalar.is_block && !scalar.text.is_empty() && !is_key {
            self.literal(&scalar.text, indent);
        } else if !scalar.is_block && analysis.allows_single_quoted {
            self.single_quoted(&scalar.text, indent, is_key);
        } else {
            self.double_quoted(&scalar.text, indent, is_key);
        }
    }

    /// Write text that has no line break.
    pub fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }

    pub fn indicator(&mut self, indicator: &str, needs_space: bool) {
        if needs_space && !self.is_after_blank {
            self.push(" ");
        }
        self.push(indicator);
        self.is_after_blank = false;
        self.is_indentation = false;
        self.is_open_ended = false;
    }

    fn indicator_before_bracket(&mut self, bracket: &str) {
        self.indicator(bracket, true);
        self.is_after_blank = true;
    }

    fn block_indicator(&mut self, indicator: &str) {
        let is_indentation = self.is_indentation;
        self.indicator(indicator, true);
        self.is_indentation = is_indentation;
    }

    /// Start a line with this indentation, unless the current line already fits.
    pub fn indent(&mut self, indent: usize) {
        if !self.is_indentation || self.column > indent || (self.column == indent && !self.is_after_blank) {
            self.line_break();
        }
        if self.column < indent {
            self.is_after_blank = true;
            self.out.extend(std::iter::repeat_n(' ', indent - self.column));
            self.column = indent;
        }
    }

    pub fn line_break(&mut self) {
        self.is_after_blank = true;
        self.is_indentation = true;
        self.column = 0;
        self.out.push('\n');
    }
}

fn is_empty_collection(value: &Value) -> bool {
    match value {
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Set(set) => set.is_empty(),
        _ => false,
    }
}
