//! [`Effect`]: everything that the manager can do outside of its state.

use crate::command::Answer;
use crate::cycle::Cycle;
use crate::event::{CallId, RequestId};
use crate::level::Level;
use crate::message::Message;
use crate::next_worker::NextWorker;
use crate::notice::Notice;
use crate::record::Record;
use crate::rules::LogLine;
use crate::run::RunId;
use jiff::SignedDuration;
use pyyaml::Value;

/// An action outside of the state. Only the manager executes effects (in `commit.rs` and `perform.rs`), and there are no
/// other actions.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Store a record in the journal. All records of a batch are committed before its other effects.
    Journal(Box<Record>),
    /// Write to the manager's log.
    Log(LogLine),
    /// Write the whole checklist to the logger named `checklist`, if it has handlers.
    LogChecklist(Value),
    /// Reply to a worker's request.
    Reply {
        /// The request.
        request: RequestId,
        /// The reply.
        message: Message,
    },
    /// Answer an operator's command.
    Answer {
        /// The call.
        call: CallId,
        /// The answer.
        answer: Answer,
    },
    /// Write the checklist file. One write per batch is enough.
    WriteChecklist,
    /// Start a runner for a run, unless it has one.
    Launch {
        /// The run.
        run: RunId,
        /// Its folder below `runs/`.
        folder: String,
        /// The worker to start.
        worker: NextWorker,
        /// Its cycle.
        cycle: Option<Cycle>,
    },
    /// Request the stop of a run's processes.
    StopRun(RunId),
    /// Send a notification, after all other effects.
    Notify(Box<Notice>),
    /// Reload configuration, rules and checklist file.
    Reload,
    /// Remove old entries of the journal and old outputs of runs at the next idle moment.
    Prune {
        /// The age of entries; `None` keeps all.
        keep: Option<SignedDuration>,
        /// The age of outputs.
        keep_outputs: Option<SignedDuration>,
    },
    /// Stop the manager.
    Stop {
        /// Its exit status.
        status: u8,
    },
}

impl Effect {
    /// Create an effect that writes a line to the log.
    pub fn log(level: Level, text: impl Into<String>) -> Self {
        Effect::Log(LogLine { level, text: text.into() })
    }
}
