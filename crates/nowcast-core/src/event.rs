//! [`Event`]: everything that the manager decides on.

use std::sync::Arc;

use crate::command::Command;
use crate::decision_time::NotedTime;
use crate::forecast::ExpectedForecast;
use crate::message::{DecodeError, Message};
use crate::policy::Policy;
use crate::rules::RuleFile;
use crate::run::{Ending, Number, RunId};
use crate::ticket::Ticket;
use pyyaml::{Map, Value};

/// Identifies a worker's request until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Identifies an operator's command until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Something that happened and that the manager has to decide on. There are no other events.
#[derive(Debug, Clone)]
pub enum Event {
    /// A worker sent a message and waits for the reply.
    Request(Request),
    /// A worker's message that ended the manager before it was decided. It is parked undecided.
    PoisonRequest(PoisonRequest),
    /// A worker's message was repeated; it has been decided already.
    Repeat {
        /// The request to answer.
        request: RequestId,
        /// The reply that it had.
        previous_reply: PreviousReply,
    },
    /// A run has ended or could not be started.
    RunEnded {
        /// The run.
        run: RunId,
        /// How it ended.
        ending: Ending,
        /// When it ended, if its runner has noted that; else it ended now.
        ended_at: Option<NotedTime>,
    },
    /// An operator's command.
    Command {
        /// The call to answer; `None` for a command without a caller, such as those of the command line.
        call: Option<CallId>,
        /// The operator's user name.
        user: String,
        /// The command.
        command: Command,
        /// For a retry with the historical checklist: the checklist that the message's rule saw,
        /// its own payload included.
        historical_checklist: Option<Value>,
    },
    /// The operating system sent a signal.
    Signal(Signal),
    /// Something may be due by now.
    Due,
    /// Another rules generation is in force.
    RulesLoaded {
        /// SHA-256 of their files, in hexadecimal.
        hash: String,
        /// The files, the main file first.
        files: Vec<RuleFile>,
    },
    /// Changed rules were refused.
    RulesRefused {
        /// The reason, with file and line.
        reason: String,
    },
    /// The checklist file cannot be written. The manager goes on trying.
    ChecklistNotWritten {
        /// The reason, for the log.
        reason: String,
    },
    /// The checklist file was written after a failure.
    ChecklistWriteRecovered,
    /// The checklist file has other content than this manager wrote.
    ChecklistRead {
        /// The new checklist.
        checklist: Map,
        /// Why it replaces the checklist in memory, for log and journal.
        why: String,
    },
    /// Expected messages were forecast.
    Forecast {
        /// A forecast for each deadline.
        forecasts: Vec<ExpectedForecast>,
    },
    /// The configuration was reloaded.
    Reloaded {
        /// The new policy.
        policy: Arc<Policy>,
    },
}

/// A worker's request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identifies it in its reply.
    pub id: RequestId,
    /// The broker's ticket, if the broker is ours.
    pub ticket: Option<Ticket>,
    /// The bytes of the message.
    pub body: Vec<u8>,
    /// The decoded message, or why it is invalid.
    pub message: Result<Message, DecodeError>,
}

/// A worker's request that is not decoded or decided again automatically.
#[derive(Debug, Clone)]
pub struct PoisonRequest {
    /// Identifies it in its reply.
    pub id: RequestId,
    /// The broker's ticket, if the broker is ours.
    pub ticket: Option<Ticket>,
    /// The message.
    pub body: String,
    /// Why it is parked.
    pub reason: String,
}

/// The reply that a repeated message had, from the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousReply {
    /// The message's number.
    pub number: Number,
    /// The type of the reply.
    pub reply: String,
    /// The payload of the reply.
    pub payload: Value,
    /// For a `need`: the key that it asks for, since the reply is the current entry.
    pub need: Option<Value>,
}

/// The signals that the manager obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: reload configuration and rules.
    Hangup,
    /// SIGINT: stop.
    Interrupt,
    /// SIGTERM: stop.
    Terminate,
}

impl Signal {
    /// Return whether it stops the process.
    #[must_use]
    pub fn ends(self) -> bool {
        self != Signal::Hangup
    }

    /// Return NEMO_Nowcast's log line for it.
    #[must_use]
    pub fn log_text(self) -> &'static str {
        match self {
            Signal::Hangup => "hangup signal (SIGHUP) received; reloading configuration",
            Signal::Interrupt => "interrupt signal (SIGINT or Ctrl-C) received; shutting down",
            Signal::Terminate => "termination signal (SIGTERM) received; shutting down",
        }
    }
}
