//! [`Event`]: everything that can happen to the manager.

use std::fmt;
use std::sync::Arc;

use super::rules::NextWorker;
use crate::config::Config;
use crate::yaml::Map;

/// Names a worker's request until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names one execution of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{}", self.0)
    }
}

/// Something that happened, and that the manager has to decide on. There is nothing else.
#[derive(Debug, Clone)]
pub enum Event {
    /// A worker sent a message and waits for the reply.
    Request {
        /// Whom to answer.
        request: RequestId,
        /// The message as it came.
        body: Vec<u8>,
    },
    /// A run that was launched has ended.
    RunEnded {
        /// Which one.
        run: RunId,
        /// How.
        ending: Ending,
    },
    /// A launch could not be carried out.
    LaunchFailed {
        /// Which one.
        run: RunId,
        /// Why, for the log.
        reason: String,
    },
    /// An operator asks for something.
    Command(Command),
    /// The operating system sent a signal.
    Signal(Signal),
    /// The checklist file cannot be written; it is tried again.
    ChecklistNotWritten {
        /// Why, for the log.
        reason: String,
    },
    /// The checklist file could be written again.
    ChecklistWritten,
    /// [`super::Effect::Reload`] was carried out.
    Reloaded {
        /// The configuration as it is now.
        config: Arc<Config>,
        /// The checklist as the file has it; `None` leaves the one in memory.
        checklist: Option<Map>,
    },
}

/// What an operator can ask of the manager.
#[derive(Debug, Clone)]
pub enum Command {
    /// Launch a worker.
    Launch(NextWorker),
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

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It exited with that status.
    Status(i32),
    /// That signal killed it.
    Killed(i32),
    /// It ended, and nobody can say how.
    Unknown,
    /// It never began, for that reason.
    NotStarted(String),
}

impl Ending {
    /// Whether it exited with status 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Ending::Status(0)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Status(status) => write!(out, "ended with status {status}"),
            Ending::Killed(signal) => write!(out, "was killed by signal {signal}"),
            Ending::Unknown => write!(out, "ended, and the operating system does not say how"),
            Ending::NotStarted(reason) => write!(out, "could not be started: {reason}"),
        }
    }
}
