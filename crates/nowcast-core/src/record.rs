//! [`Record`]: the journal's entry for one event, and [`Change`]: a change of the state.
//!
//! The state is a fold of all changes: decisions change it only by [`super::State::apply`], and a starting manager applies the
//! changes in the journal.

use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::as_yaml;
use crate::clock::{ClockReading, TimePoint};
use crate::command::Command;
use crate::cycle::Cycle;
use crate::cycles::{CycleMark, Cycles};
use crate::expected::Expected;
use crate::hold::Hold;
use crate::join::Join;
use crate::join_identity::JoinConflict;
use crate::message::Message;
use crate::notes::Note;
use crate::parked::Parked;
use crate::rules::{JoinRequest, RuleFile};
use crate::run::{Number, Run, RunId};
use crate::ticket::Ticket;
use pyyaml::Value;

/// The journal's entry for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number. Numbers increase, but have gaps, since runs are counted too.
    pub number: Number,
    /// When it was decided, in the manager's time zone: the rules' `now()`.
    pub at: ZonedDateTime,
    /// The event.
    pub event: RecordedEvent,
    /// Its changes of the state, in order.
    pub changes: Vec<Change>,
}

/// The event of a record, as far as the journal stores it.
// Each is moved only twice, so a box would cost more than its size.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedEvent {
    /// A message was decided: a worker's, the manager's crash for a run without a report, or an operator's.
    Message(Box<MessageRecord>),
    /// A run ended or could not be started.
    RunEnded {
        /// The run.
        run: RunId,
    },
    /// Something became due: a launch, the timeout of a run or join, the end of a hold, a deadline.
    Due,
    /// A forecast put an expected message at risk, or took it out.
    Forecast,
    /// An operator's command.
    Command {
        /// The operator's user name.
        user: String,
        /// The command.
        command: Command,
        /// The answer.
        answer: String,
    },
    /// A rules generation came into force.
    RulesLoaded {
        /// Its number, from 1.
        generation: u64,
        /// SHA-256 of their files, in hexadecimal.
        hash: String,
    },
    /// Changed rules were refused.
    RulesRefused {
        /// The reason, with file and line.
        reason: String,
    },
    /// The checklist of the file replaced the one in memory.
    ChecklistRead {
        /// Why.
        why: String,
    },
    /// The wall clock was set, while the manager was running or not.
    ClockSet {
        /// The time that it would have shown otherwise.
        from: Timestamp,
        /// The time that it showed.
        to: Timestamp,
    },
}

/// A message and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// The broker's ticket; `None` with NEMO_Nowcast's broker and for messages that no worker sent.
    pub ticket: Option<Ticket>,
    /// The bytes of the message.
    pub body: Vec<u8>,
    /// The decoded message; `None` if the bytes are not a message.
    pub message: Option<Message>,
    /// The sender.
    pub speaker: Speaker,
    /// The run that it reports for.
    pub run: Option<RunId>,
    /// Its outcome.
    pub outcome: Outcome,
    /// The rules generation in force.
    pub generation: u64,
    /// The position of the called rule, as `next_workers.lua:12`.
    pub rule_location: Option<String>,
    /// The identified join that the rule returned; it may have existed before.
    pub join_request: Option<JoinRequest>,
    /// The checklist keys that the rule read, as `weather forecast: 12`.
    pub keys_read: Vec<String>,
    /// The type of the reply.
    pub reply: String,
    /// The payload of the reply; null for `need`, since a repeated one gets the current entry.
    pub reply_payload: Value,
}

/// The sender of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The worker.
    Worker,
    /// The manager, for a run that ended without a report.
    Manager,
    /// An operator, by `nowcast send`.
    Operator,
    /// An operator, by `nowcast retry`: a parked message is re-decided.
    Retry,
}

/// The outcome of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its rule was called and returned.
    Ruled,
    /// Its rule failed, with this error and traceback, and the message is parked.
    RuleFailed(String),
    /// The rules have no function for its worker.
    NoFunction(String),
    /// It was refused: it is invalid, or its worker or type is unregistered.
    Refused(String),
    /// It was a `need`.
    Answered,
    /// It was a `clear checklist`.
    Cleared,
    /// It ended the manager before it was decided, and is parked undecided, for this reason.
    Undecided(String),
    /// Its run is retried, so its rule was not called.
    Retried(RunId),
}

impl Outcome {
    /// Return whether the message was for a rule, even if the rule is missing or not called because of a retry.
    #[must_use]
    pub fn is_for_a_rule(&self) -> bool {
        match self {
            Outcome::Ruled | Outcome::RuleFailed(_) | Outcome::NoFunction(_) | Outcome::Retried(_) => true,
            Outcome::Refused(_) | Outcome::Answered | Outcome::Cleared | Outcome::Undecided(_) => false,
        }
    }

    /// Return whether the rule was called, or would have been if it existed.
    #[must_use]
    pub fn reached_its_rule(&self) -> bool {
        self.is_for_a_rule() && !matches!(self, Outcome::Retried(_))
    }
}

/// One change of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The payload of the record's message was merged into the checklist as NEMO_Nowcast does it.
    PayloadMerged {
        /// The checklist key.
        #[serde(with = "as_yaml")]
        key: Value,
    },
    /// An operator set a value.
    ChecklistSet {
        /// The keys from the top down.
        #[serde(with = "as_yaml")]
        path: Value,
        /// The new value.
        #[serde(with = "as_yaml")]
        value: Value,
    },
    /// The whole checklist was replaced, or cleared.
    ChecklistReplaced {
        /// The new checklist.
        #[serde(with = "as_yaml")]
        checklist: Value,
    },
    /// The record's message was noted.
    Noted(Note),
    /// A cycle had this event; one that is not kept began with it.
    CycleSeen {
        /// The cycle.
        cycle: Cycle,
        /// The event.
        number: Number,
        /// When it was.
        #[serde(flatten)]
        at: TimePoint,
    },
    /// A worker was launched in a cycle for the first time.
    CycleLaunched {
        /// The cycle.
        cycle: Cycle,
        /// The worker.
        worker: String,
    },
    /// A cycle is done, cancelled or skipped, or that was taken back.
    CycleMarked {
        /// The cycle.
        cycle: Cycle,
        /// Its mark; `None` if it has none any more.
        mark: Option<CycleMark>,
    },
    /// Messages of a cycle are forgotten.
    CycleRewound {
        /// The cycle.
        cycle: Cycle,
        /// The messages, also those that were not noted.
        messages: Vec<Number>,
    },
    /// A cycle is kept no longer.
    CycleForgotten(Cycle),
    /// A run was added or changed.
    Run(Arc<Run>),
    /// A join was opened or changed.
    Join(Join),
    /// A join was closed. An identified one stays known.
    JoinClosed(Number),
    /// An identified join, which may have ended, was requested differently.
    JoinConflict {
        /// The join.
        id: Number,
        /// The request.
        conflict: JoinConflict,
    },
    /// An identified join that has ended is known no longer.
    JoinForgotten(Number),
    /// A message or launches were parked.
    Parked(Parked),
    /// A parked message was re-decided, parked launches were released, or either was discarded.
    ParkedClosed(Number),
    /// A hold was added.
    Hold(Hold),
    /// A hold has ended.
    HoldReleased(Number),
    /// An operator acknowledged a failed run. The state does not hold it; only the history shows it.
    Acknowledged(RunId),
    /// A worker was launched for one of its times in the schedule.
    Scheduled {
        /// Its name in the schedule.
        item: String,
        /// The scheduled time.
        due: Timestamp,
        /// Times of earlier launches that are no longer kept.
        expired: Vec<Timestamp>,
    },
    /// An expectation was added or changed.
    Expected(Expected),
    /// Messages of this worker and type are no longer expected.
    NotExpected(String, String),
    /// Steady time is counted from this reading of the clocks.
    Clock(ClockReading),
    /// A rules generation is in force: its number, hash and files. Changes of a recovered state have no files.
    Rules(u64, String, Vec<RuleFile>),
}

impl Change {
    /// Return whether it changes the checklist.
    #[must_use]
    pub fn is_of_checklist(&self) -> bool {
        matches!(
            self,
            Change::PayloadMerged { .. } | Change::ChecklistSet { .. } | Change::ChecklistReplaced { .. }
        )
    }

    /// Return whether it changes the cycles or the notes of messages.
    #[must_use]
    pub fn is_of_notes(&self) -> bool {
        matches!(
            self,
            Change::Noted(_)
                | Change::CycleSeen { .. }
                | Change::CycleLaunched { .. }
                | Change::CycleMarked { .. }
                | Change::CycleRewound { .. }
                | Change::CycleForgotten(_)
        )
    }

    /// Apply it to cycles and notes; one of another kind changes nothing. `payload` is that of the record's message.
    pub fn apply_to_cycles(&self, cycles: &mut Cycles, payload: &Value) {
        match self {
            Change::Noted(note) => cycles.note(note, payload),
            Change::CycleSeen { cycle, number, at } => cycles.see(cycle, *number, *at),
            Change::CycleLaunched { cycle, worker } => cycles.add_launched(cycle, worker),
            Change::CycleMarked { cycle, mark } => cycles.mark(cycle, mark.clone()),
            Change::CycleRewound { cycle, messages } => cycles.rewind(cycle, messages),
            Change::CycleForgotten(cycle) => cycles.forget(cycle),
            _ => {}
        }
    }
}
