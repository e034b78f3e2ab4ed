//! [`Document`]: the nodes of a text, before they become values.

use std::borrow::Cow;

use super::error::Mark;

/// The place of a node in its [`Document`].
pub(super) type NodeId = usize;

/// A node.
pub(super) struct Node<'a> {
    pub tag: Tag,
    pub content: Content<'a>,
    pub mark: Mark,
    /// Whether the node may be used more than once: by an alias or by a merge.
    pub is_shared: bool,
}

/// What a node holds.
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

/// The type of a node: the tags `tag:yaml.org,2002:…` that `PyYAML` knows, and all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Tag {
    Null,
    Bool,
    Int,
    Float,
    Str,
    Timestamp,
    Binary,
    Sequence,
    Mapping,
    Set,
    OrderedMap,
    Pairs,
    /// The key `<<`.
    Merge,
    /// The key `=`.
    Value,
    Unknown(Box<str>),
}

/// What `!!` stands for.
pub(super) const YAML_ORG: &str = "tag:yaml.org,2002:";

impl Tag {
    /// The tag of a full name, `tag:yaml.org,2002:int`.
    pub(super) fn from_uri(uri: &str) -> Tag {
        match uri.strip_prefix(YAML_ORG) {
            Some("null") => Tag::Null,
            Some("bool") => Tag::Bool,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("str") => Tag::Str,
            Some("timestamp") => Tag::Timestamp,
            Some("binary") => Tag::Binary,
            Some("seq") => Tag::Sequence,
            Some("map") => Tag::Mapping,
            Some("set") => Tag::Set,
            Some("omap") => Tag::OrderedMap,
            Some("pairs") => Tag::Pairs,
            Some("merge") => Tag::Merge,
            Some("value") => Tag::Value,
            _ => Tag::Unknown(uri.into()),
        }
    }
}

impl Content<'_> {
    /// What an error message calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Scalar(_) => "a scalar",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}
