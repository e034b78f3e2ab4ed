//! [`MessageView`]: a message as every surface shows it. Its keys are those of the JSON; `docs/operating.md` has them.

use jiff::Timestamp;
use serde::Serialize;

use super::context::ViewContext;
use nowcast_core::Record;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent, Speaker};
use pyyaml::Keys;

/// What was decided about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageOutcome {
    /// Its rule was called.
    Ruled,
    /// Its rule failed, and it was parked.
    RuleFailed,
    /// There is no rule for it.
    NoFunction,
    /// It is not one that the registry allows.
    Refused,
    /// It was a question.
    Answered,
    /// It cleared the checklist.
    Cleared,
    /// Its run is retried, so its rule was not called.
    Retried,
}

impl MessageOutcome {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            MessageOutcome::Ruled => "ruled",
            MessageOutcome::RuleFailed => "rule failed",
            MessageOutcome::NoFunction => "no function",
            MessageOutcome::Refused => "refused",
            MessageOutcome::Answered => "answered",
            MessageOutcome::Cleared => "cleared",
            MessageOutcome::Retried => "retried",
        }
    }
}

/// A message.
#[derive(Debug, Clone, Serialize)]
pub struct MessageView {
    pub number: u64,
    pub time: Timestamp,
    pub worker: Option<String>,
    pub r#type: Option<String>,
    /// The payload as YAML text; `None` for bytes that are no message.
    pub payload: Option<String>,
    /// `worker`, `manager` (a made crash), `operator` (send) or `retry`.
    pub speaker: Speaker,
    /// The run that it reports for.
    pub run: Option<u64>,
    pub outcome: MessageOutcome,
    /// Why, for the outcomes that need it.
    pub reason: Option<String>,
    pub reply: String,
    /// Where the rule is, as `next_workers.lua:12`.
    pub rule: Option<String>,
    pub rules_generation: u64,
    pub keys_read: Vec<String>,
    /// The runs that came of it.
    pub launched: Vec<u64>,
}

impl MessageView {
    pub fn new(record: &Record, message: &MessageRecord, context: &ViewContext) -> anyhow::Result<Self> {
        let (outcome, reason) = match &message.outcome {
            Outcome::Ruled => (MessageOutcome::Ruled, None),
            Outcome::RuleFailed(why) => (MessageOutcome::RuleFailed, Some(why.clone())),
            Outcome::NoFunction(why) => (MessageOutcome::NoFunction, Some(why.clone())),
            Outcome::Refused(why) => (MessageOutcome::Refused, Some(why.clone())),
            Outcome::Answered => (MessageOutcome::Answered, None),
            Outcome::Cleared => (MessageOutcome::Cleared, None),
            Outcome::Retried(run) => (MessageOutcome::Retried, Some(format!("run {run} retries it"))),
        };
        let said = message.message.as_ref();
        let launched = context.history.runs_caused_by(record.number)?;
        Ok(Self {
            number: record.number.0,
            time: record.at.timestamp(),
            worker: said.map(|said| said.source.clone()),
            r#type: said.map(|said| said.r#type.clone()),
            payload: said.map(|said| pyyaml::write(&said.payload, Keys::AsGiven)),
            speaker: message.speaker,
            run: message.run.map(|run| run.0),
            outcome,
            reason,
            reply: message.reply.clone(),
            rule: message.rule_location.clone(),
            rules_generation: message.generation,
            keys_read: message.keys_read.clone(),
            launched: launched.iter().map(|run| run.id.0).collect(),
        })
    }

    /// The message of a record, if it is one.
    pub fn of(record: &Record, context: &ViewContext) -> anyhow::Result<Option<Self>> {
        match &record.event {
            RecordedEvent::Message(message) => Self::new(record, message, context).map(Some),
            _ => Ok(None),
        }
    }

    /// Who says what.
    pub fn label(&self) -> String {
        match (&self.worker, &self.r#type) {
            (Some(worker), Some(r#type)) => format!("{worker} ({type})"),
            _ => "something that is no message".to_owned(),
        }
    }

    /// Which rule was called and what it looked at.
    pub fn rule_text(&self) -> Option<String> {
        let place = self.rule.as_ref()?;
        let read = if self.keys_read.is_empty() {
            "it read nothing of the checklist".to_owned()
        } else {
            format!("it read {}", self.keys_read.join(", "))
        };
        Some(format!("rule {place}, rules generation {}; {read}", self.rules_generation))
    }

    /// The first line of the reason.
    pub fn reason_line(&self) -> Option<&str> {
        self.reason.as_deref().and_then(|reason| reason.lines().next())
    }
}

/// Who speaks in a message, if it is not the worker of its own accord.
pub fn spoken_by(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Worker => "",
        Speaker::Manager => "made by the manager, since the run ended without a report",
        Speaker::Operator => "sent by an operator",
        Speaker::Retry => "decided again for an operator",
    }
}
