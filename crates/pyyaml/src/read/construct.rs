//! Nodes become values, with the types that Python gives them.

use std::sync::Arc;

use super::ReadError;
use super::keys::MappingKeys;
use super::merge::flatten;
use super::node::{Content, Document, NodeId};
use super::number::{float, integer};
use crate::base64;
use crate::tag::Tag;
use crate::timestamp::Parts;
use crate::value::{Set, Value};

/// Return the value of a document; `Null` if there is none. Merge keys are replaced in the document's mappings.
pub(super) fn construct(document: &mut Document<'_>) -> Result<Value, ReadError> {
    let Some(root) = document.root else { return Ok(Value::Null) };
    Constructor { built: Vec::new(), document }.value(root)
}

struct Constructor<'d, 'a> {
    document: &'d mut Document<'a>,
    /// The values of shared nodes that are already known, by the index of the node.
    built: Vec<Option<Value>>,
}

impl Constructor<'_, '_> {
    fn value(&mut self, id: NodeId) -> Result<Value, ReadError> {
        if !self.document.nodes[id].is_shared {
            return self.build(id);
        }
        if let Some(Some(value)) = self.built.get(id) {
            return Ok(value.clone());
        }
        let value = self.build(id)?;
        if self.built.len() <= id {
            self.built.resize(self.document.nodes.len(), None);
        }
        self.built[id] = Some(value.clone());
        Ok(value)
    }

    fn build(&mut self, id: NodeId) -> Result<Value, ReadError> {
        match &self.document.nodes[id].tag {
            Tag::Sequence => self.sequence(id),
            Tag::Mapping => self.mapping(id),
            Tag::Set => self.set(id),
            Tag::OrderedMap | Tag::Pairs => self.pairs(id),
            _ => self.scalar(id),
        }
    }

    fn error(&self, id: NodeId, what: impl Into<String>) -> ReadError {
        ReadError::new(self.document.nodes[id].mark, what)
    }

    fn mismatch(&self, id: NodeId, expected: &str) -> ReadError {
        let found = self.document.nodes[id].content.kind();
        self.error(id, format!("this tag needs {expected}, but stands before {found}"))
    }

    fn scalar(&self, id: NodeId) -> Result<Value, ReadError> {
        let node = &self.document.nodes[id];
        if let Tag::Merge | Tag::Value | Tag::Unknown(_) = node.tag {
            return Err(self.unknown_tag(id));
        }
        let text = self.text(id)?;
        let value = match node.tag {
            Tag::Null => Some(Value::Null),
            Tag::Bool => boolean(text).map(Value::Bool),
            Tag::Int => integer(text),
            Tag::Float => float(text).map(Value::Float),
            Tag::Timestamp => timestamp(text),
            Tag::Binary => binary(text),
            _ => Some(Value::Str(text.into())),
        };
        value.ok_or_else(|| self.misfit(id, text))
    }

    /// Return the text of a scalar. For a mapping with the key `=`, return that of its value.
    fn text(&self, id: NodeId) -> Result<&str, ReadError> {
        match &self.document.nodes[id].content {
            Content::Scalar(text) => Ok(text),
            Content::Sequence(_) => Err(self.mismatch(id, "a scalar")),
            Content::Mapping(pairs) => {
                let pair = pairs.iter().find(|(key, _)| self.document.nodes[*key].tag == Tag::Value);
                match pair {
                    Some(&(_, value)) => self.text(value),
                    None => Err(self.mismatch(id, "a scalar")),
                }
            }
        }
    }

    fn misfit(&self, id: NodeId, text: &str) -> ReadError {
        let (kind, why) = match self.document.nodes[id].tag {
            Tag::Bool => ("true or false", "quote it if it is text"),
            Tag::Int => ("an integer", "of at most 4300 digits; quote it if it is text"),
            Tag::Float => ("a number", "quote it if it is text"),
            Tag::Timestamp => ("a date", "quote it if it is text"),
            _ => ("base64", "the last group of four is cut short, or a character is not ASCII"),
        };
        let start: String = text.chars().take(40).collect();
        self.error(id, format!("{start:?} is not {kind}")).because(why)
    }

    fn unknown_tag(&self, id: NodeId) -> ReadError {
        match &self.document.nodes[id].tag {
            Tag::Unknown(tag) if tag.starts_with("tag:yaml.org,2002:python/") => self
                .error(id, format!("the tag {tag:?} makes Python objects and is refused"))
                .because("write plain lists, mappings and scalars"),
            Tag::Unknown(tag) => self.error(id, format!("the tag {tag:?} is unknown")),
            Tag::Merge => self.error(id, "<< is allowed as a key only").because("quote it if it is text"),
            _ => self.error(id, "= is allowed as a key only").because("quote it if it is text"),
        }
    }

    fn sequence(&mut self, id: NodeId) -> Result<Value, ReadError> {
        let Content::Sequence(items) = &mut self.document.nodes[id].content else {
            return Err(self.mismatch(id, "a list"));
        };
        // Taken out meanwhile: no other function sees the empty list, since no node contains itself.
        let items = std::mem::take(items);
        let values: Result<Vec<Value>, ReadError> = items.iter().map(|&item| self.value(item)).collect();
        self.document.nodes[id].content = Content::Sequence(items);
        Ok(Value::List(Arc::new(values?)))
    }

    /// Merge the pairs of a mapping and take them out of its node. The caller must put them back.
    fn take_pairs(&mut self, id: NodeId) -> Result<Vec<(NodeId, NodeId)>, ReadError> {
        flatten(self.document, id)?;
        match &mut self.document.nodes[id].content {
            Content::Mapping(pairs) => Ok(std::mem::take(pairs)),
            _ => Err(self.mismatch(id, "a mapping")),
        }
    }

    fn keys(&mut self, id: NodeId) -> Result<MappingKeys, ReadError> {
        let pairs = self.take_pairs(id)?;
        let mut keys = MappingKeys::with_capacity(pairs.len());
        for &(key_node, value_node) in &pairs {
            let key = self.value(key_node)?;
            if matches!(key, Value::List(_) | Value::Map(_) | Value::Set(_)) {
                let what = format!("{} cannot be a key", key.kind());
                return Err(self.error(key_node, what).because("only text, numbers, dates and the like can"));
            }
            let value = self.value(value_node)?;
            keys.insert(key, value);
        }
        self.document.nodes[id].content = Content::Mapping(pairs);
        Ok(keys)
    }

    fn mapping(&mut self, id: NodeId) -> Result<Value, ReadError> {
        Ok(Value::Map(Arc::new(self.keys(id)?.into_map())))
    }

    fn set(&mut self, id: NodeId) -> Result<Value, ReadError> {
        let members: Set = self.keys(id)?.into_map().into_keys().collect();
        Ok(Value::Set(Arc::new(members)))
    }

    /// Return the value of `!!omap` or `!!pairs`: a list of pairs, which are tuples in Python.
    fn pairs(&mut self, id: NodeId) -> Result<Value, ReadError> {
        let Content::Sequence(items) = &self.document.nodes[id].content else {
            return Err(self.mismatch(id, "a list"));
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items.clone() {
            let Content::Mapping(pairs) = &self.document.nodes[item].content else {
                return Err(self.mismatch(item, "mappings of one pair"));
            };
            let &[(key, value)] = pairs.as_slice() else {
                return Err(self.error(item, "this list needs mappings of one pair each"));
            };
            values.push(Value::from(vec![self.value(key)?, self.value(value)?]));
        }
        Ok(Value::from(values))
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

fn timestamp(text: &str) -> Option<Value> {
    let parts = Parts::parse(text.strip_suffix('\n').unwrap_or(text))?;
    match &parts.time {
        None => parts.date().map(Value::Date),
        Some(time) => parts.date_time(time).map(Value::DateTime),
    }
}

fn binary(text: &str) -> Option<Value> {
    let bytes = if text.is_ascii() { base64::decode(text)? } else { return None };
    Some(Value::Bytes(bytes.into()))
}
