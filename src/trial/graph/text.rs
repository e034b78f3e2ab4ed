//! The graph as an indented tree, for a terminal.

use std::fmt::Write;

use super::tree::TreeStep;
use super::{Edge, Graph, GraphNode};

impl Graph {
    /// Return an indented tree that begins with the workers that no rule launches. `↑` marks a worker whose launches
    /// are shown further up.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for branch in self.tree() {
            let line = match branch.step {
                TreeStep::Root(node) => root(node),
                TreeStep::Launch { edge, node } => self.launch(edge, node),
            };
            let mark = if branch.is_shown_above { "  ↑" } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}{line}{mark}", "  ".repeat(branch.depth));
        }
        for join in &self.joins {
            let opened_by = join.opened_by.join(", ");
            let _ = writeln!(
                text,
                "join {}: {opened_by} opens it; it waits for {}",
                join.name,
                join.wait_for.join(", ")
            );
        }
        for unknown in &self.unknown {
            let _ = writeln!(
                text,
                "the launches after {} ({}) are not known: its rule fails in every case",
                unknown.worker,
                unknown.types.join(", ")
            );
        }
        if self.edges.iter().any(Edge::has_marks) {
            text.push_str("* only in the history\n");
        }
        text
    }

    fn launch(&self, edge: &Edge, node: Option<&GraphNode>) -> String {
        let mut line = edge.to.clone();
        line.push_str(node.map(not_registered).unwrap_or_default());
        let _ = write!(line, "  after {}", edge.types_text());
        if !edge.joins.is_empty() {
            let _ = write!(line, "  in join {}", edge.joins.join(", "));
        }
        if let Some(count) = edge.count_text(self.has_history) {
            let _ = write!(line, "  {count}");
        }
        line
    }
}

fn root(node: &GraphNode) -> String {
    let by_hand = match node.by_hand {
        0 => String::new(),
        count => format!("  ×{count} by hand"),
    };
    format!("{}{}{by_hand}", node.name, not_registered(node))
}

fn not_registered(node: &GraphNode) -> &'static str {
    if node.is_registered { "" } else { " (not registered)" }
}
