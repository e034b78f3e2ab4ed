//! The limits of a document's use of memory, time and stack.
//!
//! `PyYAML` has no limits but Python's recursion limit, so each number is well above what it manages or what a message
//! needs.

use super::ReadError;
use super::error::Mark;

/// The greatest depth of nested collections, aliases followed. `PyYAML` 6.0.3 on `CPython` reads 494 and writes 330.
pub const MAX_DEPTH: usize = 512;

/// The greatest depth of an operator's input. It is kept and sent inside of other collections, as the payload of a
/// message or under its keys in the checklist, and all of that has to be read again: so it is less than [`MAX_DEPTH`].
pub const MAX_GIVEN_DEPTH: usize = MAX_DEPTH - 12;

/// The most nodes, aliases expanded.
pub const MAX_NODES: usize = 5_000_000;

/// The most bytes of a document when it is written in block style, with indentation and with aliases expanded.
pub const MAX_BYTES: usize = 128 << 20;

/// The most digits of an integer: `CPython` neither reads nor writes a longer one in decimal.
pub const MAX_DIGITS: usize = 4300;

/// The size of a part of a document, with aliases expanded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub nodes: usize,
    pub bytes: usize,
}

impl Size {
    /// The limit for a document from an unknown source.
    pub const LIMIT: Size = Size { nodes: MAX_NODES, bytes: MAX_BYTES };

    /// Return the limit for a document of the caller's own: as much as its text can contain without aliases.
    pub fn limit_of_own(text: &str) -> Size {
        // Flow style on one line can grow by indentation when it is written in block style.
        let bytes = text.len().saturating_mul(2 * MAX_DEPTH);
        Size { nodes: MAX_NODES.max(text.len()), bytes: MAX_BYTES.max(bytes) }
    }

    /// Count one more node.
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

    /// Count the target of an alias again, which is `deeper` levels below the place where it was first written.
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

    /// Return the size that was counted since `earlier`.
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

/// Refuse a collection that is nested too deeply. The root is at depth 1.
pub(super) fn check_depth(depth: usize, mark: Mark) -> Result<(), ReadError> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(ReadError::new(mark, format!("lists and mappings are nested more than {MAX_DEPTH} deep")))
}
