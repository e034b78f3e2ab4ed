//! The graph in the language of Graphviz.

use std::fmt::Write;

use super::Graph;

impl Graph {
    /// A digraph for `dot`: workers as boxes, joins as diamonds; dashed is what was only seen in the history or never.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut text = "digraph rules {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        let worker = |name: &str| self.workers.iter().position(|node| node.name == name);
        let join = |name: &str| self.joins.iter().position(|join| join.name == name);
        for (number, node) in self.workers.iter().enumerate() {
            let style = if node.is_registered { "" } else { ", style=dashed" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  w{number} [label={}{style}];", quoted(&node.name));
        }
        for (number, node) in self.joins.iter().enumerate() {
            let _ = writeln!(text, "  j{number} [shape=diamond, label={}];", quoted(&node.name));
            for waited_for in node.workers.iter().filter_map(|name| worker(name)) {
                let _ = writeln!(text, "  w{waited_for} -> j{number} [style=dotted, arrowhead=empty];");
            }
        }
        for edge in &self.edges {
            let (Some(from), Some(to)) = (worker(&edge.from), worker(&edge.to)) else { continue };
            let count = edge.count_text(self.has_history);
            let is_seen_twice = edge.is_by_rules() && (edge.runs() > 0 || !self.has_history);
            let style = if is_seen_twice { "" } else { ", style=dashed" };
            let label: Vec<String> = [Some(edge.types_text()), count].into_iter().flatten().collect();
            let label = quoted(&label.join("\n"));
            let joins: Vec<usize> = edge.joins.iter().filter_map(|name| join(name)).collect();
            if joins.is_empty() {
                let _ = writeln!(text, "  w{from} -> w{to} [label={label}{style}];");
            }
            for number in joins {
                let _ = writeln!(text, "  w{from} -> j{number} [arrowhead=none, label={label}{style}];");
                let _ = writeln!(text, "  j{number} -> w{to} [label={}{style}];", quoted(&edge.to));
            }
        }
        text.push_str("}\n");
        text
    }
}

/// A text in double quotes, shown as it is. `dot` reads `\N` and its like, and entities, in labels.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for sign in text.chars() {
        match sign {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '&' => quoted.push_str("&amp;"),
            '\n' => quoted.push_str("\\n"),
            sign if sign.is_control() => quoted.push('\u{fffd}'),
            sign => quoted.push(sign),
        }
    }
    quoted.push('"');
    quoted
}
