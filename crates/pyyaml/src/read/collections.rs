//! The grammar of lists and mappings, in blocks and in brackets.

use super::ReadError;
use super::compose::{Composed, Composer, Place, Properties};
use super::error::Mark;
use super::node::{Content, NodeId};
use super::token::Token;
use crate::tag::Tag;

impl<'a> Composer<'a> {
    pub fn block_sequence(&mut self) -> Result<(Content<'a>, usize), ReadError> {
        let (_, start) = self.scanner.next()?;
        let mut items = Items::default();
        while self.take_if(|token| matches!(token, Token::BlockEntry))? {
            let is_empty = self.next_is(|token| matches!(token, Token::BlockEntry | Token::BlockEnd))?;
            items.push(if is_empty { self.empty()? } else { self.node(Place::Block)? });
        }
        self.block_end("list", start)?;
        Ok(items.finish())
    }

    /// Read a list at the indentation of the mapping whose value it is.
    pub fn indentless_sequence(&mut self) -> Result<(Content<'a>, usize), ReadError> {
        let mut items = Items::default();
        while self.take_if(|token| matches!(token, Token::BlockEntry))? {
            let is_empty = self.next_is(|token| {
                matches!(token, Token::BlockEntry | Token::Key | Token::Value | Token::BlockEnd)
            })?;
            items.push(if is_empty { self.empty()? } else { self.node(Place::Block)? });
        }
        Ok(items.finish())
    }

    fn block_end(&mut self, what: &str, start: Mark) -> Result<(), ReadError> {
        let (token, mark) = self.scanner.next()?;
        if matches!(token, Token::BlockEnd) {
            return Ok(());
        }
        let what =
            format!("expected the end of the {what} that begins at {start}, but found {}", token.name());
        Err(ReadError::new(mark, what).because("check the indentation"))
    }

    pub fn block_mapping(&mut self) -> Result<(Content<'a>, usize), ReadError> {
        let (_, start) = self.scanner.next()?;
        let mut pairs = Pairs::default();
        while self.take_if(|token| matches!(token, Token::Key))? {
            let key = self.block_entry()?;
            let has_value = self.take_if(|token| matches!(token, Token::Value))?;
            let value = if has_value { self.block_entry()? } else { self.empty()? };
            pairs.push(key, value);
        }
        // As in PyYAML, `: value` without a key is refused here: no key token comes before it.
        self.block_end("mapping", start)?;
        Ok(pairs.finish())
    }

    fn block_entry(&mut self) -> Result<Composed, ReadError> {
        if self.next_is(|token| matches!(token, Token::Key | Token::Value | Token::BlockEnd))? {
            self.empty()
        } else {
            self.node(Place::BlockEntry)
        }
    }

    pub fn flow_sequence(&mut self) -> Result<(Content<'a>, usize), ReadError> {
        let (_, start) = self.scanner.next()?;
        let mut items = Items::default();
        loop {
            if self.take_if(|token| matches!(token, Token::FlowSequenceEnd))? {
                return Ok(items.finish());
            }
            if !items.ids.is_empty() {
                self.flow_entry("list", "']'", start)?;
            }
            if self.next_is(|token| matches!(token, Token::Key))? {
                items.push(self.collection(&Properties::default(), Tag::Mapping, Self::flow_pair)?);
            } else if !self.next_is(|token| matches!(token, Token::FlowSequenceEnd))? {
                items.push(self.node(Place::Flow)?);
            }
        }
    }

    /// Read `[key: value]`: a mapping of one pair.
    fn flow_pair(&mut self) -> Result<(Content<'a>, usize), ReadError> {
        self.scanner.next()?;
        let mut pairs = Pairs::default();
        let key = self
            .flow_part(|token| matches!(token, Token::Value | Token::FlowEntry | Token::FlowSequenceEnd))?;
        let value = if self.take_if(|token| matches!(token, Token::Value))? {
            self.flow_part(|token| matches!(token, Token::FlowEntry | Token::FlowSequenceEnd))?
        } else {
            self.empty()?
        };
        pairs.push(key, value);
        Ok(pairs.finish())
    }

    fn flow_part(&mut self, is_end: impl Fn(&Token<'a>) -> bool) -> Result<Composed, ReadError> {
        if self.next_is(is_end)? { self.empty() } else { self.node(Place::Flow) }
    }

    fn flow_entry(&mut self, what: &str, end: &str, start: Mark) -> Result<(), ReadError> {
        let (token, mark) = self.scanner.next()?;
        if matches!(token, Token::FlowEntry) {
            return Ok(());
        }
        let what =
            format!("expected ',' or {end} in the {what} that begins at {start}, but found {}", token.name());
        Err(ReadError::new(mark, what))
    }

    pub fn flow_mapping(&mut self) -> Result<(Content<'a>, usize), ReadError> {
        let (_, start) = self.scanner.next()?;
        let mut pairs = Pairs::default();
        loop {
            if self.take_if(|token| matches!(token, Token::FlowMappingEnd))? {
                return Ok(pairs.finish());
            }
            if !pairs.ids.is_empty() {
                self.flow_entry("mapping", "'}'", start)?;
            }
            if self.take_if(|token| matches!(token, Token::Key))? {
                let key = self.flow_part(|token| {
                    matches!(token, Token::Value | Token::FlowEntry | Token::FlowMappingEnd)
                })?;
                let value = if self.take_if(|token| matches!(token, Token::Value))? {
                    self.flow_part(|token| matches!(token, Token::FlowEntry | Token::FlowMappingEnd))?
                } else {
                    self.empty()?
                };
                pairs.push(key, value);
            } else if !self.next_is(|token| matches!(token, Token::FlowMappingEnd))? {
                let key = self.node(Place::Flow)?;
                let value = self.empty()?;
                pairs.push(key, value);
            }
        }
    }
}

/// The items of a list that is being read.
#[derive(Default)]
struct Items {
    ids: Vec<NodeId>,
    height: usize,
}

impl Items {
    fn push(&mut self, item: Composed) {
        self.ids.push(item.node);
        self.height = self.height.max(item.height);
    }

    fn finish<'a>(self) -> (Content<'a>, usize) {
        (Content::Sequence(self.ids), self.height)
    }
}

/// The pairs of a mapping that is being read.
#[derive(Default)]
struct Pairs {
    ids: Vec<(NodeId, NodeId)>,
    height: usize,
}

impl Pairs {
    fn push(&mut self, key: Composed, value: Composed) {
        self.ids.push((key.node, value.node));
        self.height = self.height.max(key.height).max(value.height);
    }

    fn finish<'a>(self) -> (Content<'a>, usize) {
        (Content::Mapping(self.ids), self.height)
    }
}
