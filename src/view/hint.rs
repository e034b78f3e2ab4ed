//! [`Hint`]: a command that helps, on every surface.

use serde::Serialize;

/// A command that helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// The command, ready to be copied.
    pub command: String,
    /// The effect, if the command does not make it clear.
    pub effect: Option<String>,
}

impl Hint {
    /// Return a command that needs no explanation.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), effect: None }
    }

    /// Return a command with its effect.
    pub fn with_effect(command: impl Into<String>, effect: impl Into<String>) -> Self {
        Self { command: command.into(), effect: Some(effect.into()) }
    }
}
