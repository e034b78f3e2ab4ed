//! [`Notice`]: something that somebody outside may want to know. None is made when the configuration names nobody. Who
//! of those that it names wants to know, and how they are told, is not decided here.

use jiff::ZonedDateTime;

use crate::alarm::Alarm;
use crate::run::Number;
use pyyaml::Value;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The number by which `nowcast why` knows it; 0 if it is not in the journal.
    pub number: Number,
    /// When.
    pub at: ZonedDateTime,
    /// Whether somebody has to look at it, and why.
    pub alarm: Option<Alarm>,
    /// The worker that it is about; empty if it is about none.
    pub worker: String,
    /// The message that it is, if it is one.
    pub message: Option<NoticeMessage>,
    /// What happened, in words.
    pub text: String,
}

/// What a worker said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeMessage {
    /// The message type.
    pub r#type: String,
    /// The payload.
    pub payload: Value,
}
