//! [`Tag`]: the types of nodes.

/// The type of a node: one of the tags `tag:yaml.org,2002:…` that `PyYAML` knows, or another.
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

/// The prefix that `!!` means.
pub(crate) const YAML_ORG: &str = "tag:yaml.org,2002:";

impl Tag {
    /// Return the tag with a full name such as `tag:yaml.org,2002:int`.
    pub(crate) fn from_uri(uri: &str) -> Tag {
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
