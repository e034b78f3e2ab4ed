//! [`Marks`]: the places of keys in a text, for error messages about a configuration.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::error::Mark;
use super::node::{Content, Document, NodeId};
use crate::tag::Tag;

/// The places of the keys of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    nodes: HashMap<NodeId, Vec<Child>>,
    root: Option<NodeId>,
    repeated: Vec<RepeatedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Child {
    key: Box<str>,
    mark: Mark,
    node: NodeId,
}

impl Marks {
    /// Collect the places in a document. `repeated` is the result of [`repeated_keys`] before merge keys were replaced.
    pub(super) fn new(document: &Document<'_>, repeated: Vec<RepeatedKey>) -> Self {
        let collections = document.nodes.iter().enumerate();
        let nodes =
            collections.filter_map(|(id, node)| Some((id, children(document, &node.content)?))).collect();
        Self { nodes, root: document.root, repeated }
    }

    /// Return the place of the key at the end of a path, in which an item of a list is named by its index. Of a
    /// repeated key it is the last place. `None` if there is no such key.
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

    /// Return the line of the key at the end of a path; see [`mark_of`](Self::mark_of).
    #[must_use]
    pub fn line_of(&self, path: &[&str]) -> Option<usize> {
        self.mark_of(path).map(|mark| mark.line)
    }

    /// Return every key that a mapping has more than once, in the order of the text. A merge, `<<`, may be repeated.
    #[must_use]
    pub fn repeated_keys(&self) -> &[RepeatedKey] {
        &self.repeated
    }
}

/// A key that one mapping has more than once. Only the last of its values is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedKey {
    /// The keys that lead to it, and the key itself.
    pub path: Vec<String>,
    /// The lines of the key.
    pub lines: Vec<usize>,
}

/// Return the keys that a mapping has more than once, in the order of the text.
pub(super) fn repeated_keys(document: &Document<'_>) -> Vec<RepeatedKey> {
    let mut repeated = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<(NodeId, Vec<String>)> =
        document.root.map(|root| (root, Vec::new())).into_iter().collect();
    while let Some((node, path)) = open.pop() {
        // An alias leads to the same node again.
        if !seen.insert(node) {
            continue;
        }
        let below = |key: &str| path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
        match &document.nodes[node].content {
            Content::Scalar(_) => {}
            Content::Sequence(items) => {
                open.extend(items.iter().enumerate().map(|(index, &item)| (item, below(&index.to_string()))));
            }
            Content::Mapping(pairs) => {
                // `1` and `"1"` are different keys.
                let mut lines: IndexMap<(&str, &Tag), Vec<usize>> = IndexMap::new();
                for &(key, value) in pairs {
                    let key = &document.nodes[key];
                    let Content::Scalar(text) = &key.content else { continue };
                    open.push((value, below(text)));
                    if key.tag != Tag::Merge {
                        lines.entry((text, &key.tag)).or_default().push(key.mark.line);
                    }
                }
                let more = lines.into_iter().filter(|(_, lines)| lines.len() > 1);
                repeated.extend(more.map(|((key, _), lines)| RepeatedKey { path: below(key), lines }));
            }
        }
    }
    repeated.sort_by(|a, b| (&a.lines, &a.path).cmp(&(&b.lines, &b.path)));
    repeated
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

#[cfg(test)]
mod tests {
    use super::super::read_marked;

    #[test]
    fn a_repeated_key_is_found_with_all_its_lines() {
        let text = "a: 1\nb:\n  - {c: 1, c: 2}\n  - c: 3\na: 2\nb: 3\na: 4\n";
        let found: Vec<(String, Vec<usize>)> = read_marked(text)
            .unwrap()
            .1
            .repeated_keys()
            .iter()
            .map(|key| (key.path.join(": "), key.lines.clone()))
            .collect();
        let expected = [("a", vec![1, 5, 7]), ("b", vec![2, 6]), ("b: 0: c", vec![3, 3])]
            .map(|(key, lines)| (key.to_owned(), lines));
        assert_eq!(found, expected);
    }

    #[test]
    fn merges_and_keys_of_other_types_are_not_repeated() {
        let text = "a: &a {x: 1}\nb: &b {y: 1}\nc: {<<: *a, <<: *b, x: 2, 1: int, '1': text}\nd: [*a, *a]\n";
        assert_eq!(read_marked(text).unwrap().1.repeated_keys(), []);
    }
}
