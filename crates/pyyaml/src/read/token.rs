//! [`Token`]: the tokens of a YAML text.

use std::borrow::Cow;

/// A token of a YAML text. The block tokens mean changes of indentation.
#[derive(Debug)]
pub(super) enum Token<'a> {
    StreamEnd,
    Directive(Directive<'a>),
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    Tag(TagToken<'a>),
    Scalar(ScalarToken<'a>),
}

/// A line that begins with `%`.
#[derive(Debug)]
pub(super) enum Directive<'a> {
    Yaml { major: &'a str },
    Tag { handle: &'a str, prefix: Cow<'a, str> },
    Unknown,
}

/// `!handle!suffix`, or `!<suffix>` without a handle.
#[derive(Debug)]
pub(super) struct TagToken<'a> {
    pub handle: Option<&'a str>,
    pub suffix: Cow<'a, str>,
}

/// A scalar whose line breaks are folded and whose escapes are replaced.
#[derive(Debug)]
pub(super) struct ScalarToken<'a> {
    pub text: Cow<'a, str>,
    pub is_plain: bool,
}

impl Token<'_> {
    /// Return the name of the token for error messages.
    pub fn name(&self) -> &'static str {
        match self {
            Token::StreamEnd => "the end of the text",
            Token::Directive(_) => "a directive",
            Token::DocumentStart => "the start of a document (---)",
            Token::DocumentEnd => "the end of the document (...)",
            Token::BlockSequenceStart => "the start of a list",
            Token::BlockMappingStart => "the start of a mapping",
            Token::BlockEnd => "the end of the block",
            Token::FlowSequenceStart => "'['",
            Token::FlowSequenceEnd => "']'",
            Token::FlowMappingStart => "'{'",
            Token::FlowMappingEnd => "'}'",
            Token::BlockEntry => "a list item ('-')",
            Token::FlowEntry => "','",
            Token::Key => "a key",
            Token::Value => "':'",
            Token::Alias(_) => "an alias",
            Token::Anchor(_) => "an anchor",
            Token::Tag(_) => "a tag",
            Token::Scalar(_) => "a scalar",
        }
    }
}
