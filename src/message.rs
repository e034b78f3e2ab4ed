//! [`Message`]: the one thing that travels between workers and the manager.

use crate::yaml::Value;

/// What a worker tells the manager, and what the manager answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The name of the worker that sends it, or `manager`.
    pub source: String,
    /// A message type of that source in the message registry.
    pub r#type: String,
    /// What goes into the checklist; [`Value::Null`] for nothing.
    pub payload: Value,
}
