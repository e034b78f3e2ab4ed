//! [`Notice`]: an event for notifications. It is created only if the configuration has targets. Which targets receive it,
//! and in which form, is decided by `notify`.

use jiff::ZonedDateTime;

use crate::alarm::Alarm;
use crate::run::Number;
use pyyaml::Value;

/// An event for notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The number to ask `nowcast why` for; 0 if it is not in the journal.
    pub number: Number,
    /// When it happened.
    pub at: ZonedDateTime,
    /// The alarm, if it needs an operator.
    pub alarm: Option<Alarm>,
    /// The worker that it concerns; empty if there is none.
    pub worker: String,
    /// The message, if it is about one.
    pub message: Option<NoticeMessage>,
    /// The text for people.
    pub text: String,
}

/// A worker's message in a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeMessage {
    /// The message type.
    pub r#type: String,
    /// The payload.
    pub payload: Value,
}
