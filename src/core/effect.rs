//! [`Effect`]: everything that the manager can do to the world.

use super::event::{RequestId, RunId};
use super::rules::{LogLine, NextWorker};
use crate::logging::Level;
use crate::message::Message;
use crate::yaml::Value;

/// Something to be done, and that only `perform` does. There is nothing else.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write to the manager's log.
    Log(LogLine),
    /// Write the whole checklist to the logger named `checklist`, if it has handlers.
    LogChecklist(Value),
    /// Answer a request.
    Reply {
        /// Which one.
        request: RequestId,
        /// The answer.
        message: Message,
    },
    /// Bring the checklist file up to date with the state; once for a batch is enough.
    WriteChecklist,
    /// Start a worker.
    Launch {
        /// The name of the run that this starts.
        run: RunId,
        /// What to start.
        worker: NextWorker,
    },
    /// Read configuration, rules and checklist file again.
    Reload,
    /// End the manager.
    Stop {
        /// The process's exit status.
        status: u8,
    },
}

impl Effect {
    /// A line for the log.
    pub fn log(level: Level, text: impl Into<String>) -> Self {
        Effect::Log(LogLine { level, text: text.into() })
    }
}
