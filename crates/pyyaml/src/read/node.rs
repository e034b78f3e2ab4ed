//! [`Document`]: the nodes of a text, before they become values.

use std::borrow::Cow;

use super::error::Mark;
use crate::tag::Tag;

/// The index of a node in its [`Document`].
pub(super) type NodeId = usize;

/// A node.
pub(super) struct Node<'a> {
    pub tag: Tag,
    pub content: Content<'a>,
    pub mark: Mark,
    /// Whether the node may be used more than once: by an alias or by a merge.
    pub is_shared: bool,
}

/// The content of a node.
pub(super) enum Content<'a> {
    Scalar(Cow<'a, str>),
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
}

/// All nodes of a document.
pub(super) struct Document<'a> {
    pub nodes: Vec<Node<'a>>,
    /// `None` for a text without a document.
    pub root: Option<NodeId>,
}

impl Content<'_> {
    /// Return the kind of the content for error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Scalar(_) => "a scalar",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}
