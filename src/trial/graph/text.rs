//! The graph as an indented tree, for a terminal.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Edge, Graph, Node};

impl Graph {
    /// An indented tree that begins with the workers that nobody launches. `↑` stands where a worker's launches
    /// are told further up.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut tree = Tree { graph: self, told: BTreeSet::new(), text: String::new() };
        let is_launched =
            |node: &&Node| self.edges.iter().any(|edge| edge.to == node.name && edge.from != node.name);
        for node in self.workers.iter().filter(|node| !is_launched(node)) {
            tree.root(node);
        }
        // What is left is launched in circles only.
        for node in &self.workers {
            if !tree.told.contains(node.name.as_str()) {
                tree.root(node);
            }
        }
        for join in &self.joins {
            let opened_by = join.opened_by.join(", ");
            // Writing to a String cannot fail.
            let _ = writeln!(
                tree.text,
                "join {}: {opened_by} opens it; it waits for {}",
                join.name,
                join.wait_for.join(", ")
            );
        }
        for unknown in &self.unknown {
            let _ = writeln!(
                tree.text,
                "what follows {} ({}) is not known: its rule fails with everything there is to call it with",
                unknown.worker,
                unknown.types.join(", ")
            );
        }
        if self.edges.iter().any(|edge| edge.types_text().contains('*')) {
            tree.text.push_str("* only in the history\n");
        }
        tree.text
    }
}

struct Tree<'a> {
    graph: &'a Graph,
    told: BTreeSet<&'a str>,
    text: String,
}

impl<'a> Tree<'a> {
    fn root(&mut self, node: &'a Node) {
        let by_hand = match node.by_hand {
            0 => String::new(),
            count => format!("  ×{count} by hand"),
        };
        let _ = writeln!(self.text, "{}{}{by_hand}", node.name, not_registered(node));
        self.launches(&node.name);
    }

    /// What follows a worker, all the way down. A stack of its own: a chain may be long.
    fn launches(&mut self, root: &'a str) {
        self.told.insert(root);
        let graph = self.graph;
        let mut open: Vec<(usize, &'a Edge)> = launches_of(graph, root).map(|edge| (1, edge)).collect();
        while let Some((depth, edge)) = open.pop() {
            let node = graph.workers.iter().find(|node| node.name == edge.to);
            let mut line = format!("{}{}", "  ".repeat(depth), edge.to);
            line.push_str(node.map(not_registered).unwrap_or_default());
            let _ = write!(line, "  after {}", edge.types_text());
            if !edge.joins.is_empty() {
                let _ = write!(line, "  in join {}", edge.joins.join(", "));
            }
            if let Some(count) = edge.count_text(graph.has_history) {
                let _ = write!(line, "  {count}");
            }
            let has_launches = launches_of(graph, &edge.to).next().is_some();
            let is_new = self.told.insert(&edge.to);
            if is_new {
                open.extend(launches_of(graph, &edge.to).map(|edge| (depth + 1, edge)));
            } else if has_launches {
                line.push_str("  ↑");
            }
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }
}

/// What a worker launches, the last first.
fn launches_of<'a>(graph: &'a Graph, worker: &str) -> impl Iterator<Item = &'a Edge> {
    graph.edges.iter().rev().filter(move |edge| edge.from == worker)
}

fn not_registered(node: &Node) -> &'static str {
    if node.is_registered { "" } else { " (not registered)" }
}
