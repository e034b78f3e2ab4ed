//! [`Record`]: what the journal keeps of one event, and [`Change`]: what it changed in the state.
//!
//! The state is the fold of all changes: a decision changes it by [`super::State::apply`] alone, and
//! a manager that starts anew applies what the journal has.

use jiff::{Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::expected::Expected;
use crate::hold::Hold;
use crate::joins::Join;
use crate::message::Message;
use crate::parked::Parked;
use crate::rules::RuleFile;
use crate::run::{Number, Run, RunId};
use crate::ticket::Ticket;
use pyyaml::Value;

/// One event, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number; each is higher than the one before, but not by one, since runs are counted too.
    pub number: Number,
    /// When it was decided, by the manager's clock and time zone: the rules' `now()`.
    pub at: ZonedDateTime,
    /// What happened.
    pub event: RecordedEvent,
    /// What it changed, in order.
    pub changes: Vec<Change>,
}

/// What happened, as far as the journal keeps it.
// There is one for each event, and it moves twice: a box would cost more than the room.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedEvent {
    /// A message was decided: a worker's, one that was made for a run without a report, one that an
    /// operator sent.
    Message(Box<MessageRecord>),
    /// A run ended or could not be started.
    RunEnded {
        /// Which one.
        run: RunId,
    },
    /// Something became due: a launch, a time limit, the time-out of a join, the end of a hold.
    Due,
    /// An operator asked for something.
    Command {
        /// The name of the user who asked.
        user: String,
        /// What was asked.
        command: Command,
        /// What was answered.
        answer: String,
    },
    /// Other rules came into force.
    RulesLoaded {
        /// How many different rules have been in force, from 1.
        generation: u64,
        /// SHA-256 of their files, in hexadecimal.
        hash: String,
    },
    /// Changed rules were refused.
    RulesRefused {
        /// Why, with file and line.
        reason: String,
    },
    /// The checklist of the file took the place of the one in memory.
    ChecklistRead {
        /// Why the file won.
        why: String,
    },
}

/// A message and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// The broker's name for the request; `None` beside a broker of the peer's and for messages made here.
    pub ticket: Option<Ticket>,
    /// The message as it came.
    pub body: Vec<u8>,
    /// The message; `None` if the bytes are none.
    pub message: Option<Message>,
    /// Who speaks for the worker, if it is not the worker itself.
    pub speaker: Speaker,
    /// The run that it reports for.
    pub run: Option<RunId>,
    /// What was made of it.
    pub outcome: Outcome,
    /// The rules in force: their generation.
    pub generation: u64,
    /// Where the rule is that was called, as `next_workers.lua:12`.
    pub rule_location: Option<String>,
    /// The parts of the checklist that the rule read, as `weather forecast: 12`.
    pub keys_read: Vec<String>,
    /// The type of the reply.
    pub reply: String,
    /// The payload of the reply; left out (null) for `need`, which is answered anew if asked again.
    pub reply_payload: Value,
}

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The worker.
    Worker,
    /// The manager, for a run that ended without a report.
    Manager,
    /// An operator, by `nowcast send`.
    Operator,
    /// An operator, by `nowcast retry`: a message that was parked is decided again.
    Retry,
}

/// What was made of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its rule was called and answered.
    Ruled,
    /// Its rule failed; the message is parked. The reason with traceback.
    RuleFailed(String),
    /// The rules have no function for its worker.
    NoFunction(String),
    /// It was refused: no message, unregistered worker or type.
    Refused(String),
    /// It was a `need`.
    Answered,
    /// It was a `clear checklist`.
    Cleared,
    /// Its run is tried again, so its rule was not called.
    Retried(RunId),
}

impl Outcome {
    /// Whether it was for its worker's rule; also if that is missing, or waits for the last attempt of a run.
    #[must_use]
    pub fn is_for_a_rule(&self) -> bool {
        match self {
            Outcome::Ruled | Outcome::RuleFailed(_) | Outcome::NoFunction(_) | Outcome::Retried(_) => true,
            Outcome::Refused(_) | Outcome::Answered | Outcome::Cleared => false,
        }
    }

    /// Whether its rule was called, or would have been if there were one.
    #[must_use]
    pub fn reached_its_rule(&self) -> bool {
        self.is_for_a_rule() && !matches!(self, Outcome::Retried(_))
    }
}

/// One change of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The payload of the record's message was put under this checklist key, merged as the peer does.
    PayloadMerged {
        /// The key.
        #[serde(with = "as_yaml")]
        key: Value,
    },
    /// An operator put a value at a path of keys.
    ChecklistSet {
        /// The keys from the top down.
        #[serde(with = "as_yaml")]
        path: Value,
        /// What is there now.
        #[serde(with = "as_yaml")]
        value: Value,
    },
    /// The whole checklist was replaced; an empty mapping when it was cleared.
    ChecklistReplaced {
        /// The checklist now.
        #[serde(with = "as_yaml")]
        checklist: Value,
    },
    /// A run is new or is now so.
    Run(Box<Run>),
    /// A join is new or is now so.
    Join(Join),
    /// A join is over.
    JoinClosed(Number),
    /// A message or launches were parked.
    Parked(Parked),
    /// A parked message or parked launches were decided again, released or discarded.
    ParkedClosed(Number),
    /// Launches are held.
    Hold(Hold),
    /// A hold is over.
    HoldReleased(Number),
    /// An operator acknowledged a failed run. The state does not hold it; only the history shows it.
    Acknowledged(RunId),
    /// A worker was launched for one of its times in the schedule.
    Scheduled {
        /// What names it in the schedule.
        item: String,
        /// The time.
        due: Timestamp,
    },
    /// A kind of message is expected, or what is known of one is now so.
    Expected(Expected),
    /// Messages of that worker and type are not expected any more.
    ExpectedNoMore(String, String),
    /// Other rules are in force: their generation and hash, and their files where these are to be kept.
    Rules(u64, String, Vec<RuleFile>),
}

impl Change {
    /// Whether it changes the checklist.
    #[must_use]
    pub fn is_of_checklist(&self) -> bool {
        matches!(
            self,
            Change::PayloadMerged { .. } | Change::ChecklistSet { .. } | Change::ChecklistReplaced { .. }
        )
    }
}

/// YAML values within JSON, as their YAML text: JSON has neither dates nor sets nor keys that are no text.
mod as_yaml {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use pyyaml::{Keys, Value};

    pub(super) fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&pyyaml::write(value, Keys::AsGiven))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        pyyaml::read_own(text.as_bytes()).map_err(D::Error::custom)
    }
}
