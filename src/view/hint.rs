//! [`Hint`]: a next step.

use serde::Serialize;

/// A command that helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// To be typed, or copied, as it is.
    pub command: String,
    /// What it does, where the command does not say so itself.
    pub effect: Option<String>,
}

impl Hint {
    /// A command that needs no explanation.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), effect: None }
    }

    /// A command and what it does.
    pub fn with_effect(command: impl Into<String>, effect: impl Into<String>) -> Self {
        Self { command: command.into(), effect: Some(effect.into()) }
    }
}
