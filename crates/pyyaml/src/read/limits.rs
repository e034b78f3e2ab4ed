//! How much a document may ask of memory, time and stack.
//!
//! `PyYAML` has no limits but Python's recursion limit, so each number stands well above what it manages
//! or what a message needs.

use super::ReadError;
use super::error::Mark;

/// Collections inside one another, aliases followed. `PyYAML` 6.0.3 on `CPython` reads 494 and writes 330.
pub const MAX_DEPTH: usize = 512;

/// How deep what an operator hands in may be nested. It is kept and sent within others, as the payload of a message or
/// under its keys in the checklist, and all of that has to be read again: so there is room below [`MAX_DEPTH`].
pub const MAX_GIVEN_DEPTH: usize = MAX_DEPTH - 12;

/// Nodes, aliases expanded.
pub const MAX_NODES: usize = 5_000_000;

/// Bytes that the document takes when it is written in block style, indentation included and aliases
/// expanded.
pub const MAX_BYTES: usize = 128 << 20;

/// Digits of an integer: beyond it `CPython` neither reads nor writes one in decimal.
pub const MAX_DIGITS: usize = 4300;

/// What a part of a document amounts to once aliases are expanded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub nodes: usize,
    pub bytes: usize,
}

impl Size {
    /// What a document from a stranger may amount to.
    pub const LIMIT: Size = Size { nodes: MAX_NODES, bytes: MAX_BYTES };

    /// What a document of ours may amount to: as much as its own text can hold, but no more by aliases.
    pub fn limit_of_own(text: &str) -> Size {
        // Flow style on one line can grow by indentation when it is written in block style.
        let bytes = text.len().saturating_mul(2 * MAX_DEPTH);
        Size { nodes: MAX_NODES.max(text.len()), bytes: MAX_BYTES.max(bytes) }
    }

    /// Counts one more node.
    pub fn add_node(
        &mut self,
        text_bytes: usize,
        depth: usize,
        limit: Size,
        mark: Mark,
    ) -> Result<(), ReadError> {
        // "- ", two spaces for each level above, the text and its line break.
        self.add(Size { nodes: 1, bytes: 3 + 2 * depth + text_bytes }, limit, mark)
    }

    /// Counts the target of an alias again; it stands `deeper` levels below where it was first written.
    pub fn add_alias(
        &mut self,
        target: Size,
        deeper: usize,
        limit: Size,
        mark: Mark,
    ) -> Result<(), ReadError> {
        let indentation = target.nodes.saturating_mul(2 * deeper);
        self.add(Size { nodes: target.nodes, bytes: target.bytes.saturating_add(indentation) }, limit, mark)
    }

    /// What was counted since `earlier`.
    pub fn since(self, earlier: Size) -> Size {
        Size { nodes: self.nodes - earlier.nodes, bytes: self.bytes - earlier.bytes }
    }

    fn add(&mut self, more: Size, limit: Size, mark: Mark) -> Result<(), ReadError> {
        self.nodes = self.nodes.saturating_add(more.nodes);
        self.bytes = self.bytes.saturating_add(more.bytes);
        if self.nodes > limit.nodes {
            let what = format!("the document has more than {} values", limit.nodes);
            return Err(ReadError::new(mark, what).because("each use of an alias counts in full"));
        }
        if self.bytes > limit.bytes {
            let what =
                format!("the document is larger than {} MiB when it is written out", limit.bytes >> 20);
            return Err(ReadError::new(mark, what).because("each use of an alias counts in full"));
        }
        Ok(())
    }
}

/// Refuses a collection that is nested too deeply; the root is at depth 1.
pub(super) fn check_depth(depth: usize, mark: Mark) -> Result<(), ReadError> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(ReadError::new(mark, format!("lists and mappings are nested more than {MAX_DEPTH} deep")))
}
