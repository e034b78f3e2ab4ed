//! [`Marks`]: where in the text each key stands, for error messages about a configuration.

use std::collections::HashMap;

use super::error::Mark;
use super::node::{Content, Document, NodeId};

/// Where the keys of a text stand.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    nodes: HashMap<NodeId, Vec<Child>>,
    root: Option<NodeId>,
}

#[derive(Debug, Clone)]
struct Child {
    key: Box<str>,
    mark: Mark,
    node: NodeId,
}

impl Marks {
    pub(super) fn new(document: &Document<'_>) -> Self {
        let collections = document.nodes.iter().enumerate();
        let nodes =
            collections.filter_map(|(id, node)| Some((id, children(document, &node.content)?))).collect();
        Self { nodes, root: document.root }
    }

    /// Where the key at the end of a path stands; an item of a list goes by its index. The last one, if a
    /// key is there twice. `None` if there is no such key.
    #[must_use]
    pub fn mark_of(&self, path: &[&str]) -> Option<Mark> {
        let mut node = self.root?;
        let mut mark = None;
        for step in path {
            let children = self.nodes.get(&node)?;
            let child = children.iter().rev().find(|child| *child.key == **step)?;
            mark = Some(child.mark);
            node = child.node;
        }
        mark
    }

    /// The line of the key at the end of a path; see [`mark_of`](Self::mark_of).
    #[must_use]
    pub fn line_of(&self, path: &[&str]) -> Option<usize> {
        self.mark_of(path).map(|mark| mark.line)
    }
}

fn children(document: &Document<'_>, content: &Content<'_>) -> Option<Vec<Child>> {
    match content {
        Content::Scalar(_) => None,
        Content::Sequence(items) => {
            let child = |(index, &node): (usize, &NodeId)| Child {
                key: index.to_string().into(),
                mark: document.nodes[node].mark,
                node,
            };
            Some(items.iter().enumerate().map(child).collect())
        }
        Content::Mapping(pairs) => {
            Some(pairs.iter().filter_map(|&(key, node)| pair(document, key, node)).collect())
        }
    }
}

fn pair(document: &Document<'_>, key: NodeId, node: NodeId) -> Option<Child> {
    match &document.nodes[key].content {
        Content::Scalar(text) => {
            Some(Child { key: text.as_ref().into(), mark: document.nodes[key].mark, node })
        }
        _ => None,
    }
}
