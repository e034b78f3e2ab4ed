//! [`Event`]: everything that can happen to the manager.

use std::sync::Arc;

use crate::command::Command;
use crate::message::{DecodeError, Message};
use crate::policy::Policy;
use crate::rules::RuleFile;
use crate::run::{Ending, Number, RunId};
use crate::ticket::Ticket;
use pyyaml::{Map, Value};

/// Names a worker's request until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names an operator's request until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Something that happened, and that the manager has to decide on. There is nothing else.
#[derive(Debug, Clone)]
pub enum Event {
    /// A worker sent a message and waits for the reply.
    Request(Request),
    /// A worker's message came again; it was decided already.
    Repeat {
        /// Whom to answer.
        request: RequestId,
        /// What came of it the first time.
        recorded: PreviousReply,
    },
    /// A run has ended or could not be started.
    RunEnded {
        /// Which one.
        run: RunId,
        /// How.
        ending: Ending,
    },
    /// An operator asks for something.
    Command {
        /// Whom to answer; `None` if nobody waits.
        call: Option<CallId>,
        /// The name of the user who asks.
        user: String,
        /// What is asked.
        command: Command,
        /// For a retry that asks for it: the checklist as it was before the message.
        historical_checklist: Option<Value>,
    },
    /// The operating system sent a signal.
    Signal(Signal),
    /// Time has passed: what is due by now is done.
    Due,
    /// Other rules came into force.
    RulesLoaded {
        /// SHA-256 of their files, in hexadecimal.
        hash: String,
        /// The files, the main one first.
        files: Vec<RuleFile>,
    },
    /// Changed rules were refused.
    RulesRefused {
        /// Why, with file and line.
        reason: String,
    },
    /// The checklist file cannot be written; it is tried again.
    ChecklistNotWritten {
        /// Why, for the log.
        reason: String,
    },
    /// The checklist file could be written again.
    ChecklistWritten,
    /// The checklist file holds something else than this manager wrote.
    ChecklistRead {
        /// The checklist as it is to be now.
        checklist: Map,
        /// Why it takes the place of the one in memory, for log and journal.
        why: String,
    },
    /// The configuration was read again.
    Reloaded {
        /// What decisions depend on from now on.
        policy: Arc<Policy>,
    },
}

/// A worker's message on its way in.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whom to answer.
    pub request: RequestId,
    /// The broker's name for it, if the broker is ours.
    pub ticket: Option<Ticket>,
    /// The message as it came.
    pub body: Vec<u8>,
    /// What the body says.
    pub message: Result<Message, DecodeError>,
}

/// What the journal has of a message that comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousReply {
    /// Its number.
    pub number: Number,
    /// The type of the reply.
    pub reply: String,
    /// The payload of the reply.
    pub payload: Value,
    /// For a `need`: what it asks for, since that is answered anew.
    pub need: Option<Value>,
}

/// The signals that the manager obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read configuration and rules again.
    Hangup,
    /// SIGINT: end.
    Interrupt,
    /// SIGTERM: end.
    Terminate,
}

impl Signal {
    /// Whether it is to end the process.
    #[must_use]
    pub fn ends(self) -> bool {
        self != Signal::Hangup
    }

    /// The peer's words for it in the log.
    #[must_use]
    pub fn log_text(self) -> &'static str {
        match self {
            Signal::Hangup => "hangup signal (SIGHUP) received; reloading configuration",
            Signal::Interrupt => "interrupt signal (SIGINT or Ctrl-C) received; shutting down",
            Signal::Terminate => "termination signal (SIGTERM) received; shutting down",
        }
    }
}
