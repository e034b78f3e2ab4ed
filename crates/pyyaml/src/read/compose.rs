//! Tokens become nodes: documents, tags and anchors. The rest of the grammar is in [`collections`](super::collections).
//!
//! The size of the document is limited here already: depth, nodes and bytes are counted with aliases expanded, so that
//! no later step can run out of memory or stack.

use std::borrow::Cow;
use std::collections::HashMap;

use super::ReadError;
use super::error::Mark;
use super::limits::{Size, check_depth};
use super::node::{Content, Document, Node, NodeId};
use super::scanner::Scanner;
use super::token::{Directive, TagToken, Token};
use crate::resolve::resolve;
use crate::tag::{Tag, YAML_ORG};

/// Read the only document of a text.
pub(super) fn compose(text: &str, limit: Size) -> Result<Document<'_>, ReadError> {
    let mut composer = Composer {
        scanner: Scanner::new(text)?,
        nodes: Vec::new(),
        handles: HashMap::new(),
        anchors: HashMap::new(),
        size: Size::default(),
        limit,
        depth: 0,
    };
    let root = composer.document()?;
    Ok(Document { nodes: composer.nodes, root })
}

/// An anchor and its node.
struct Anchor {
    node: NodeId,
    mark: Mark,
    /// `None` while the node is still being read.
    complete: Option<Complete>,
}

/// The size that an alias adds to the document.
#[derive(Clone, Copy)]
struct Complete {
    size: Size,
    depth: usize,
    height: usize,
}

/// A node that was read, and the depth of nested collections in it.
#[derive(Clone, Copy)]
pub(super) struct Composed {
    pub node: NodeId,
    pub height: usize,
}

/// The tag and the anchor before a node.
#[derive(Default)]
pub(super) struct Properties<'a> {
    /// The full name; `!` alone asks for the usual type.
    tag: Option<Cow<'a, str>>,
    anchor: Option<(&'a str, Mark)>,
    mark: Option<Mark>,
}

/// A function that reads the content of a collection and returns it with the depth of nested collections in it.
type ReadContent<'a> = fn(&mut Composer<'a>) -> Result<(Content<'a>, usize), ReadError>;

/// The place of a node, which determines the blocks that may begin there.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    Flow,
    Block,
    /// A key or value of a block mapping: a list may begin at the mapping's own indentation.
    BlockEntry,
}

pub(super) struct Composer<'a> {
    pub scanner: Scanner<'a>,
    nodes: Vec<Node<'a>>,
    /// The prefixes of `%TAG` directives, by their handles.
    handles: HashMap<&'a str, Cow<'a, str>>,
    anchors: HashMap<&'a str, Anchor>,
    pub size: Size,
    limit: Size,
    depth: usize,
}

impl<'a> Composer<'a> {
    fn document(&mut self) -> Result<Option<NodeId>, ReadError> {
        let is_explicit = self.next_is(|token| {
            matches!(token, Token::Directive(_) | Token::DocumentStart | Token::StreamEnd)
        })?;
        if !is_explicit {
            let root = self.node(Place::Block)?;
            return self.end_of_document(root).map(Some);
        }
        if self.next_is(|token| matches!(token, Token::StreamEnd))? {
            return Ok(None);
        }
        self.document_start()?;
        let is_empty = self.next_is(|token| {
            matches!(
                token,
                Token::Directive(_) | Token::DocumentStart | Token::DocumentEnd | Token::StreamEnd
            )
        })?;
        let root = if is_empty { self.empty()? } else { self.node(Place::Block)? };
        self.end_of_document(root).map(Some)
    }

    pub fn next_is(&mut self, is_expected: impl Fn(&Token<'a>) -> bool) -> Result<bool, ReadError> {
        Ok(is_expected(self.scanner.peek()?.0))
    }

    pub fn take_if(&mut self, is_expected: impl Fn(&Token<'a>) -> bool) -> Result<bool, ReadError> {
        let is_there = self.next_is(is_expected)?;
        if is_there {
            self.scanner.next()?;
        }
        Ok(is_there)
    }

    fn document_start(&mut self) -> Result<(), ReadError> {
        self.directives()?;
        let (token, mark) = self.scanner.next()?;
        match token {
            Token::DocumentStart => Ok(()),
            other => {
                Err(ReadError::new(mark, format!("expected '---' or the end, but found {}", other.name())))
            }
        }
    }

    /// Check that nothing but the end of the text follows the root.
    fn end_of_document(&mut self, root: Composed) -> Result<NodeId, ReadError> {
        while self.take_if(|token| matches!(token, Token::DocumentEnd))? {}
        let (token, mark) = self.scanner.peek()?;
        match token {
            Token::StreamEnd => Ok(root.node),
            Token::DocumentStart | Token::Directive(_) => {
                Err(ReadError::new(mark, "a second document begins").because("expected a single document"))
            }
            other => {
                let what = format!("expected the end of the document, but found {}", other.name());
                Err(ReadError::new(mark, what).because("check the indentation"))
            }
        }
    }

    fn directives(&mut self) -> Result<(), ReadError> {
        let mut has_version = false;
        while self.next_is(|token| matches!(token, Token::Directive(_)))? {
            let (token, mark) = self.scanner.next()?;
            let Token::Directive(directive) = token else { break };
            match directive {
                Directive::Yaml { .. } if has_version => {
                    return Err(ReadError::new(mark, "%YAML stands here a second time"));
                }
                Directive::Yaml { major } if major.trim_start_matches('0') != "1" => {
                    return Err(
                        ReadError::new(mark, format!("YAML {major} is not known")).because("only version 1")
                    );
                }
                Directive::Yaml { .. } => has_version = true,
                Directive::Tag { handle, prefix } => {
                    if self.handles.insert(handle, prefix).is_some() {
                        return Err(ReadError::new(mark, format!("%TAG {handle} stands here a second time")));
                    }
                }
                Directive::Unknown => {}
            }
        }
        Ok(())
    }

    pub fn node(&mut self, place: Place) -> Result<Composed, ReadError> {
        if self.next_is(|token| matches!(token, Token::Alias(_)))? {
            return self.alias();
        }
        let properties = self.properties()?;
        match self.collection_ahead(place, &properties)? {
            Some((usual, read)) => self.collection(&properties, usual, read),
            None => self.scalar(&properties),
        }
    }

    /// Return the collection that begins at the next token, and the function that reads it; `None` for a scalar.
    fn collection_ahead(
        &mut self,
        place: Place,
        properties: &Properties<'a>,
    ) -> Result<Option<(Tag, ReadContent<'a>)>, ReadError> {
        let (token, mark) = self.scanner.peek()?;
        let collection: (Tag, ReadContent<'a>) = match token {
            Token::BlockEntry if place == Place::BlockEntry => (Tag::Sequence, Self::indentless_sequence),
            Token::FlowSequenceStart => (Tag::Sequence, Self::flow_sequence),
            Token::FlowMappingStart => (Tag::Mapping, Self::flow_mapping),
            Token::BlockSequenceStart if place != Place::Flow => (Tag::Sequence, Self::block_sequence),
            Token::BlockMappingStart if place != Place::Flow => (Tag::Mapping, Self::block_mapping),
            Token::Scalar(_) => return Ok(None),
            // Properties without a value are followed by an empty scalar.
            _ if properties.mark.is_some() => return Ok(None),
            other => {
                return Err(ReadError::new(mark, format!("expected a value, but found {}", other.name())));
            }
        };
        Ok(Some(collection))
    }

    fn alias(&mut self) -> Result<Composed, ReadError> {
        let (token, mark) = self.scanner.next()?;
        let Token::Alias(name) = token else {
            return Err(ReadError::new(mark, "expected an alias"));
        };
        let Some(anchor) = self.anchors.get(name) else {
            let why = format!("write &{name} in front of the value first");
            return Err(ReadError::new(mark, format!("the alias *{name} has no anchor")).because(why));
        };
        let Some(target) = anchor.complete else {
            return Err(ReadError::new(mark, format!("the value of *{name} would contain itself")));
        };
        check_depth(self.depth + target.height, mark)?;
        self.size.add_alias(target.size, self.depth.saturating_sub(target.depth), self.limit, mark)?;
        Ok(Composed { node: anchor.node, height: target.height })
    }

    fn properties(&mut self) -> Result<Properties<'a>, ReadError> {
        let mut properties = Properties::default();
        // There may be one of each, in either order.
        for _ in 0..2 {
            let is_property = self.next_is(|token| match token {
                Token::Anchor(_) => properties.anchor.is_none(),
                Token::Tag(_) => properties.tag.is_none(),
                _ => false,
            })?;
            if !is_property {
                break;
            }
            let (token, mark) = self.scanner.next()?;
            properties.mark.get_or_insert(mark);
            match token {
                Token::Anchor(name) => properties.anchor = Some((name, mark)),
                Token::Tag(tag) => properties.tag = Some(self.full_tag(tag, mark)?),
                _ => {}
            }
        }
        Ok(properties)
    }

    fn full_tag(&self, tag: TagToken<'a>, mark: Mark) -> Result<Cow<'a, str>, ReadError> {
        let Some(handle) = tag.handle else { return Ok(tag.suffix) };
        match (self.handles.get(handle), handle) {
            (Some(prefix), _) => Ok(prefix.clone() + tag.suffix),
            (None, "!") => Ok(Cow::Borrowed("!") + tag.suffix),
            (None, "!!") => Ok(Cow::Borrowed(YAML_ORG) + tag.suffix),
            (None, _) => Err(ReadError::new(mark, format!("the tag handle {handle} has no %TAG directive"))),
        }
    }

    /// Refuse an anchor whose name is already used, as `PyYAML` does.
    fn check_anchor(&self, properties: &Properties<'a>) -> Result<(), ReadError> {
        let Some((name, mark)) = properties.anchor else { return Ok(()) };
        match self.anchors.get(name) {
            None => Ok(()),
            Some(first) => {
                Err(ReadError::new(mark, format!("the anchor &{name} is already at {}", first.mark)))
            }
        }
    }

    fn push(&mut self, tag: Tag, content: Content<'a>, mark: Mark, is_shared: bool) -> NodeId {
        self.nodes.push(Node { tag, content, mark, is_shared });
        self.nodes.len() - 1
    }

    /// Read a scalar, or the empty one after properties without a value.
    fn scalar(&mut self, properties: &Properties<'a>) -> Result<Composed, ReadError> {
        self.check_anchor(properties)?;
        let (_, next_mark) = self.scanner.peek()?;
        let mark = properties.mark.unwrap_or(next_mark);
        let (text, is_plain) = if self.next_is(|token| matches!(token, Token::Scalar(_)))? {
            match self.scanner.next()?.0 {
                Token::Scalar(scalar) => (scalar.text, scalar.is_plain),
                _ => (Cow::Borrowed(""), true),
            }
        } else {
            (Cow::Borrowed(""), true)
        };
        let tag = match properties.tag.as_deref() {
            Some("!") => resolve(&text),
            Some(tag) => Tag::from_uri(tag),
            None if is_plain => resolve(&text),
            None => Tag::Str,
        };
        let before = self.size;
        self.size.add_node(text.len(), self.depth, self.limit, mark)?;
        let node = self.push(tag, Content::Scalar(text), mark, properties.anchor.is_some());
        if let Some((name, mark)) = properties.anchor {
            let complete = Complete { size: self.size.since(before), depth: self.depth, height: 0 };
            self.anchors.insert(name, Anchor { node, mark, complete: Some(complete) });
        }
        Ok(Composed { node, height: 0 })
    }

    /// Create null for a value that is left out.
    pub fn empty(&mut self) -> Result<Composed, ReadError> {
        let (_, mark) = self.scanner.peek()?;
        self.size.add_node(0, self.depth, self.limit, mark)?;
        let node = self.push(Tag::Null, Content::Scalar(Cow::Borrowed("")), mark, false);
        Ok(Composed { node, height: 0 })
    }

    pub fn collection(
        &mut self,
        properties: &Properties<'a>,
        usual: Tag,
        read: ReadContent<'a>,
    ) -> Result<Composed, ReadError> {
        let before = self.size;
        let node = self.open(properties, usual)?;
        let (content, height) = read(self)?;
        let complete = Complete { size: self.size.since(before), depth: self.depth - 1, height: height + 1 };
        self.close(properties, node, content, complete);
        Ok(Composed { node, height: complete.height })
    }

    /// Create the node of a collection, still empty.
    fn open(&mut self, properties: &Properties<'a>, usual: Tag) -> Result<NodeId, ReadError> {
        self.check_anchor(properties)?;
        let (_, next_mark) = self.scanner.peek()?;
        let mark = properties.mark.unwrap_or(next_mark);
        self.size.add_node(0, self.depth, self.limit, mark)?;
        self.depth += 1;
        check_depth(self.depth, mark)?;
        let tag = match properties.tag.as_deref() {
            None | Some("!") => usual,
            Some(tag) => Tag::from_uri(tag),
        };
        let node = self.push(tag, Content::Sequence(Vec::new()), mark, properties.anchor.is_some());
        if let Some((name, mark)) = properties.anchor {
            self.anchors.insert(name, Anchor { node, mark, complete: None });
        }
        Ok(node)
    }

    fn close(&mut self, properties: &Properties<'a>, node: NodeId, content: Content<'a>, complete: Complete) {
        self.depth -= 1;
        // The node was pushed when the collection was opened, so the index is valid.
        self.nodes[node].content = content;
        if let Some(anchor) = properties.anchor.and_then(|(name, _)| self.anchors.get_mut(name)) {
            anchor.complete = Some(complete);
        }
    }
}
