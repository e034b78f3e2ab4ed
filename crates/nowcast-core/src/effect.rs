//! [`Effect`]: everything that the manager can do to the world.

use crate::command::Answer;
use crate::event::{CallId, RequestId};
use crate::level::Level;
use crate::message::Message;
use crate::next_worker::NextWorker;
use crate::notice::Notice;
use crate::record::Record;
use crate::rules::LogLine;
use crate::run::RunId;
use pyyaml::Value;

/// Something to be done, and that only `perform` does. There is nothing else.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keep what happened. Nothing else of a batch is done before this is.
    Journal(Box<Record>),
    /// Write to the manager's log.
    Log(LogLine),
    /// Write the whole checklist to the logger named `checklist`, if it has handlers.
    LogChecklist(Value),
    /// Answer a worker's request.
    Reply {
        /// Which one.
        request: RequestId,
        /// The answer.
        message: Message,
    },
    /// Answer an operator.
    Answer {
        /// Which request.
        call: CallId,
        /// The answer.
        answer: Answer,
    },
    /// Bring the checklist file up to date with the state; once for a batch is enough.
    WriteChecklist,
    /// Hand a run to a runner, unless it has one.
    Launch {
        /// The run.
        run: RunId,
        /// Its folder below `runs/`.
        folder: String,
        /// What to start.
        worker: NextWorker,
    },
    /// Tell a run's processes to end.
    EndRun(RunId),
    /// Tell whoever wants to know outside; after all else.
    Notify(Box<Notice>),
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
