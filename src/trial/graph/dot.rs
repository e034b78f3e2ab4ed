//! The graph in the language of Graphviz.

use std::fmt::Write;

use super::Graph;
use super::drawing::{Arrow, ArrowKind, Id};

impl Graph {
    /// Return a digraph for `dot`: workers as boxes, joins as diamonds. Dashed lines mark unregistered workers, and
    /// launches that never happened or that only the history knows.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut text = "digraph rules {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        let drawing = self.drawing();
        for node in drawing.nodes {
            let (id, label) = (node.id, quoted(node.name));
            let style = if node.is_registered { "" } else { ", style=dashed" };
            // Writing to a String cannot fail.
            let _ = match id {
                Id::Worker(_) => writeln!(text, "  {id} [label={label}{style}];"),
                Id::Join(_) => writeln!(text, "  {id} [shape=diamond, label={label}];"),
            };
        }
        for Arrow { from, to, kind } in drawing.arrows {
            let style = |is_certain| if is_certain { "" } else { ", style=dashed" };
            let attributes = match kind {
                ArrowKind::Requires => "style=dotted, arrowhead=empty".to_owned(),
                ArrowKind::Launches(launches) => {
                    format!("label={}{}", quoted(&launches.label.join("\n")), style(launches.is_certain))
                }
                ArrowKind::Enters(launches) => {
                    let label = quoted(&launches.label.join("\n"));
                    format!("arrowhead=none, label={label}{}", style(launches.is_certain))
                }
                ArrowKind::Releases { worker, is_certain } => {
                    format!("label={}{}", quoted(worker), style(is_certain))
                }
            };
            let _ = writeln!(text, "  {from} -> {to} [{attributes}];");
        }
        text.push_str("}\n");
        text
    }
}

/// Quote a text so that it is shown unchanged: `dot` reads entities, and escapes such as `\N`, in labels.
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
