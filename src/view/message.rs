//! [`MessageView`]: a message as every surface shows it. Its keys are those of the JSON; `docs/operating.md` lists
//! them.

use jiff::Timestamp;
use serde::Serialize;

use super::context::ViewContext;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent, Speaker};
use nowcast_core::{Cycle, Number, Record};
use pyyaml::Keys;

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageOutcome {
    /// Its rule was called.
    Ruled,
    /// Its rule failed, and it was parked.
    RuleFailed,
    /// There is no rule for it.
    NoFunction,
    /// The message registry does not allow it.
    Refused,
    /// It asked for a part of the checklist (`need`) and got it.
    Answered,
    /// It cleared the checklist.
    Cleared,
    /// It ended the manager before it was decided, and was parked.
    Undecided,
    /// Its run is retried, so its rule was not called.
    Retried,
}

impl MessageOutcome {
    /// Return the word that people see.
    pub fn word(self) -> &'static str {
        match self {
            MessageOutcome::Ruled => "ruled",
            MessageOutcome::RuleFailed => "rule failed",
            MessageOutcome::NoFunction => "no function",
            MessageOutcome::Refused => "refused",
            MessageOutcome::Answered => "answered",
            MessageOutcome::Cleared => "cleared",
            MessageOutcome::Undecided => "undecided",
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
    /// The payload as YAML text; `None` for bytes that are not a message.
    pub payload: Option<String>,
    /// `worker`, `manager` (a crash, for a run without a report), `operator` (send) or `retry`.
    pub speaker: Speaker,
    pub cycle: Option<String>,
    /// The run that it reports for.
    pub run: Option<u64>,
    pub outcome: MessageOutcome,
    /// The reason, for outcomes that have one.
    pub reason: Option<String>,
    pub reply: String,
    /// The place of the rule, as `next_workers.lua:12`.
    pub rule: Option<String>,
    pub rules_generation: u64,
    pub keys_read: Vec<String>,
    /// The runs that it launched.
    pub launched: Vec<u64>,
}

impl MessageView {
    /// The columns of the CSV: the keys of the JSON.
    pub const COLUMNS: [&str; 15] = [
        "number",
        "time",
        "worker",
        "type",
        "payload",
        "speaker",
        "cycle",
        "run",
        "outcome",
        "reason",
        "reply",
        "rule",
        "rules_generation",
        "keys_read",
        "launched",
    ];

    pub fn new(record: &Record, message: &MessageRecord, context: &ViewContext) -> anyhow::Result<Self> {
        let launched = context.history.launched_by(&[record.number])?;
        Ok(Self::with_launched(record, message, &launched.concat()))
    }

    /// Return the messages among these records.
    pub fn list(records: &[Record], context: &ViewContext) -> anyhow::Result<Vec<Self>> {
        let numbers: Vec<Number> = records.iter().map(|record| record.number).collect();
        let launched = context.history.launched_by(&numbers)?;
        let view = |(record, launched): (&Record, &Vec<Number>)| match &record.event {
            RecordedEvent::Message(message) => Some(Self::with_launched(record, message, launched)),
            _ => None,
        };
        Ok(records.iter().zip(&launched).filter_map(view).collect())
    }

    fn with_launched(record: &Record, message: &MessageRecord, launched: &[Number]) -> Self {
        let (outcome, reason) = match &message.outcome {
            Outcome::Ruled => (MessageOutcome::Ruled, None),
            Outcome::RuleFailed(why) => (MessageOutcome::RuleFailed, Some(why.clone())),
            Outcome::NoFunction(why) => (MessageOutcome::NoFunction, Some(why.clone())),
            Outcome::Refused(why) => (MessageOutcome::Refused, Some(why.clone())),
            Outcome::Answered => (MessageOutcome::Answered, None),
            Outcome::Cleared => (MessageOutcome::Cleared, None),
            Outcome::Undecided(why) => (MessageOutcome::Undecided, Some(why.clone())),
            Outcome::Retried(run) => (MessageOutcome::Retried, Some(format!("run {run} retries it"))),
        };
        let said = message.message.as_ref();
        Self {
            number: record.number.0,
            time: record.at.timestamp(),
            worker: said.map(|said| said.source.clone()),
            r#type: said.map(|said| said.r#type.clone()),
            payload: said.map(|said| pyyaml::write(&said.payload, Keys::AsGiven)),
            speaker: message.speaker,
            cycle: said.and_then(|said| said.cycle.as_ref()).map(Cycle::to_string),
            run: message.run.map(|run| run.0),
            outcome,
            reason,
            reply: message.reply.clone(),
            rule: message.rule_location.clone(),
            rules_generation: message.generation,
            keys_read: message.keys_read.clone(),
            launched: launched.iter().map(|run| run.0).collect(),
        }
    }

    /// Return the message of a record, if it is one.
    pub fn of(record: &Record, context: &ViewContext) -> anyhow::Result<Option<Self>> {
        match &record.event {
            RecordedEvent::Message(message) => Self::new(record, message, context).map(Some),
            _ => Ok(None),
        }
    }

    /// Return the worker and the message type.
    pub fn label(&self) -> String {
        match (&self.worker, &self.r#type) {
            (Some(worker), Some(r#type)) => format!("{worker} ({type})"),
            _ => "bytes that are not a message".to_owned(),
        }
    }

    /// Return the rule that was called and the checklist keys that it read, as text.
    pub fn rule_text(&self) -> Option<String> {
        let place = self.rule.as_ref()?;
        let read = match &self.keys_read[..] {
            [] => String::new(),
            keys => format!("; it read {}", keys.join(", ")),
        };
        Some(format!("rule {place}, rules generation {}{read}", self.rules_generation))
    }

    /// Return the first line of the reason.
    pub fn reason_line(&self) -> Option<&str> {
        self.reason.as_deref().and_then(|reason| reason.lines().next())
    }
}

/// Return how a message came about, as text; it is empty if its worker sent the message.
pub fn spoken_by(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Worker => "",
        Speaker::Manager => "made by the manager, since the run ended without a report",
        Speaker::Operator => "sent by an operator",
        Speaker::Retry => "decided again for an operator",
    }
}
