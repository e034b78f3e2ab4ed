//! [`WhyNotReason`]: one reason why a worker has not run, with the commands that help. It gathers nothing.

use serde::Serialize;

use super::hint_lines;
use crate::view::hint::Hint;
use nowcast_core::Number;

/// A reason why a worker has not run.
#[derive(Debug, Serialize)]
pub(super) struct WhyNotReason {
    pub kind: ReasonKind,
    pub number: Option<u64>,
    pub text: String,
    /// The commands that help.
    #[serde(rename = "try")]
    pub hints: Vec<Hint>,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReasonKind {
    /// A run of the worker is in progress.
    Running,
    /// A launch of the worker is pending.
    Pending,
    /// A launch of the worker waits in a join.
    Join,
    /// A launch of the worker is parked.
    Parked,
    /// A run of the worker failed, and none has succeeded since.
    Failed,
    /// An operator holds the worker.
    Hold,
    /// The last change of the rules is not in force.
    Rules,
    /// A join requires its message.
    Dependent,
    /// A message did not launch it.
    Message,
    /// A worker whose rule launches this one has sent no message.
    Silence,
}

impl WhyNotReason {
    pub(super) fn new(kind: ReasonKind, number: Option<Number>, text: String, hints: Vec<Hint>) -> Self {
        Self { kind, number: number.map(|number| number.0), text, hints }
    }

    /// Add how the worker follows from the one that it is about.
    pub(super) fn before(self, launcher: &str, way: &[String]) -> Self {
        Self { text: format!("{}; {launcher} → {}", self.text, way.join(" → ")), ..self }
    }

    /// Return the text with the commands below it.
    pub(super) fn text(&self) -> String {
        let hints = hint_lines(&self.hints).into_iter().map(|hint| format!("\n    → {hint}"));
        format!("{}{}", self.text, hints.collect::<String>())
    }
}
