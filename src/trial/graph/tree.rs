//! The graph as a tree: each worker with its launches, which are shown once.

use std::collections::BTreeSet;

use super::{Edge, Graph, GraphNode};

/// A line of the tree.
pub(super) struct Branch<'a> {
    /// The number of launches that lead here from the root.
    pub depth: usize,
    /// The launch that leads here, or the worker at which a tree begins.
    pub step: TreeStep<'a>,
    /// Whether the worker's launches are shown further up.
    pub is_shown_above: bool,
}

pub(super) enum TreeStep<'a> {
    Root(&'a GraphNode),
    Launch { edge: &'a Edge, node: Option<&'a GraphNode> },
}

impl Graph {
    /// Return the lines of the tree. It begins with the workers that no other launches.
    pub(super) fn tree(&self) -> Vec<Branch<'_>> {
        let mut walk = TreeWalk { graph: self, shown: BTreeSet::new(), branches: Vec::new() };
        let is_launched =
            |node: &&GraphNode| self.edges.iter().any(|edge| edge.to == node.name && edge.from != node.name);
        for node in self.workers.iter().filter(|node| !is_launched(node)) {
            walk.root(node);
        }
        // The remaining workers are launched in circles only.
        for node in &self.workers {
            if !walk.shown.contains(node.name.as_str()) {
                walk.root(node);
            }
        }
        walk.branches
    }
}

struct TreeWalk<'a> {
    graph: &'a Graph,
    shown: BTreeSet<&'a str>,
    branches: Vec<Branch<'a>>,
}

impl<'a> TreeWalk<'a> {
    /// Add a worker and everything that follows from it. The explicit stack allows long chains.
    fn root(&mut self, root: &'a GraphNode) {
        self.branches.push(Branch { depth: 0, step: TreeStep::Root(root), is_shown_above: false });
        self.shown.insert(&root.name);
        let graph = self.graph;
        let mut open: Vec<(usize, &'a Edge)> = launches_of(graph, &root.name).map(|edge| (1, edge)).collect();
        while let Some((depth, edge)) = open.pop() {
            let node = graph.workers.iter().find(|node| node.name == edge.to);
            let is_new = self.shown.insert(&edge.to);
            if is_new {
                open.extend(launches_of(graph, &edge.to).map(|edge| (depth + 1, edge)));
            }
            let is_shown_above = !is_new && launches_of(graph, &edge.to).next().is_some();
            self.branches.push(Branch { depth, step: TreeStep::Launch { edge, node }, is_shown_above });
        }
    }
}

/// Return the launches of a worker, the last first.
fn launches_of<'a>(graph: &'a Graph, worker: &str) -> impl Iterator<Item = &'a Edge> {
    graph.edges.iter().rev().filter(move |edge| edge.from == worker)
}
