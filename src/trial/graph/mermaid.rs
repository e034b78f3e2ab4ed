//! The graph in the language of Mermaid, which many web pages draw.

use std::fmt::Write;

use super::Graph;

impl Graph {
    /// A flowchart: workers as boxes, joins as rhombs; dotted is what was only seen in the history or never.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        let worker = |name: &str| self.workers.iter().position(|node| node.name == name);
        let join = |name: &str| self.joins.iter().position(|join| join.name == name);
        for (number, node) in self.workers.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  w{number}[\"{}\"]", escaped(&node.name));
        }
        for (number, node) in self.joins.iter().enumerate() {
            let _ = writeln!(text, "  j{number}{{\"{}\"}}", escaped(&node.name));
            for waited_for in node.workers.iter().filter_map(|name| worker(name)) {
                let _ = writeln!(text, "  w{waited_for} -.-> j{number}");
            }
        }
        for edge in &self.edges {
            let (Some(from), Some(to)) = (worker(&edge.from), worker(&edge.to)) else { continue };
            let is_seen_twice = edge.is_by_rules() && (edge.runs() > 0 || !self.has_history);
            let arrow = if is_seen_twice { "-->" } else { "-.->" };
            let count = edge.count_text(self.has_history);
            let label: Vec<String> = [Some(edge.types_text()), count].into_iter().flatten().collect();
            let label = escaped(&label.join(" "));
            let joins: Vec<usize> = edge.joins.iter().filter_map(|name| join(name)).collect();
            if joins.is_empty() {
                let _ = writeln!(text, "  w{from} {arrow}|\"{label}\"| w{to}");
            }
            for number in joins {
                let _ = writeln!(text, "  w{from} {arrow}|\"{label}\"| j{number}");
                let _ = writeln!(text, "  j{number} {arrow}|\"{}\"| w{to}", escaped(&edge.to));
            }
        }
        text
    }
}

/// A text within double quotes: what is no letter, digit or blank is written by its number.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for sign in text.chars() {
        if sign.is_alphanumeric() || "_- ×.,".contains(sign) {
            escaped.push(sign);
        } else if sign.is_control() {
            escaped.push(' ');
        } else {
            let _ = write!(escaped, "#{};", u32::from(sign));
        }
    }
    escaped
}
