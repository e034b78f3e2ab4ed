//! The graph in the language of Mermaid, which many web pages draw.

use std::fmt::Write;

use super::Graph;
use super::drawing::{Arrow, ArrowKind, Id};

impl Graph {
    /// Return a flowchart: workers as boxes, joins as rhombs. Dotted arrows mark the requirements of joins, and
    /// launches that never happened or that only the history knows.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        let drawing = self.drawing();
        for node in drawing.nodes {
            let (id, label) = (node.id, escaped(node.name));
            // Writing to a String cannot fail.
            let _ = match id {
                Id::Worker(_) => writeln!(text, "  {id}[\"{label}\"]"),
                Id::Join(_) => writeln!(text, "  {id}{{\"{label}\"}}"),
            };
        }
        for Arrow { from, to, kind } in drawing.arrows {
            let line = |is_certain| if is_certain { "-->" } else { "-.->" };
            let arrow = match kind {
                ArrowKind::Requires => "-.->".to_owned(),
                ArrowKind::Launches(launches) | ArrowKind::Enters(launches) => {
                    let label = escaped(&launches.label.join(" "));
                    format!("{}|\"{label}\"|", line(launches.is_certain))
                }
                ArrowKind::Releases { worker, is_certain } => {
                    format!("{}|\"{}\"|", line(is_certain), escaped(worker))
                }
            };
            let _ = writeln!(text, "  {from} {arrow} {to}");
        }
        text
    }
}

/// Escape a text within double quotes: special characters are written by their number.
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
