//! [`Command`]: an operator's command to the manager, as the control socket sends it and the journal stores it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cycle::{Cycle, CycleOption};
use crate::hold::HoldTarget;
use crate::next_worker::NextWorker;
use crate::rewind::Rewind;
use crate::run::{Number, RunId};

/// An operator's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Launch a worker.
    Launch {
        /// The launch.
        worker: NextWorker,
        /// The run that this launch repeats, if it is a rerun.
        rerun_of: Option<RunId>,
        /// The first run of the chain that a rerun continues.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<RunId>,
    },
    /// Launch a worker that the schedule brings, unless it was launched for that time already.
    LaunchScheduled {
        /// Its name in the schedule.
        item: String,
        /// The scheduled time.
        due: Timestamp,
        /// The launch.
        worker: NextWorker,
    },
    /// Re-decide parked messages.
    Retry {
        /// The message; `None` for all.
        message: Option<Number>,
        /// Whether the rule sees the checklist before the message instead of the current one.
        historical_checklist: bool,
    },
    /// Send a message for a worker.
    Send {
        /// The worker.
        source: String,
        /// The message type.
        r#type: String,
        /// The payload, as YAML text.
        payload: String,
        /// Its cycle. It reports for a run of that cycle only, or of none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cycle: Option<CycleOption>,
    },
    /// Request the stop of a run.
    Kill {
        /// The run.
        run: RunId,
    },
    /// Hold launches.
    Hold {
        /// The launches.
        target: HoldTarget,
        /// The time of the wall clock at which the hold ends.
        until: Option<Timestamp>,
        /// How long it lasts, in the place of `until`. Without either it lasts until it is released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration: Option<SignedDuration>,
        /// A note for other operators.
        reason: Option<String>,
    },
    /// Release a hold, parked launches, a join or a pending launch.
    Release {
        /// Its number.
        number: Number,
    },
    /// Discard a parked message, parked launches, a join or a pending launch.
    Discard {
        /// Its number.
        number: Number,
    },
    /// Stop all running runs of a cycle.
    KillCycle {
        /// The cycle.
        cycle: Cycle,
    },
    /// Stop and discard what is open of a cycle, and park its later launches.
    CancelCycle {
        /// The cycle.
        cycle: Cycle,
        /// A note for other operators.
        reason: Option<String>,
    },
    /// Take back that a cycle is cancelled or skipped.
    ResumeCycle {
        /// The cycle.
        cycle: Cycle,
    },
    /// Let no limit on cycles wait for a cycle that will not be done.
    SkipCycle {
        /// The cycle.
        cycle: Cycle,
        /// A note for other operators.
        reason: Option<String>,
    },
    /// Forget what followed from a worker's messages in a cycle, and launch the worker again.
    Rewind(Rewind),
    /// Launch a worker in many cycles: in all of them or in none.
    Backfill {
        /// The launches, each with its cycle.
        launches: Vec<NextWorker>,
        /// Also in cycles that exist.
        again: bool,
    },
    /// Record that failed runs have been seen, so that they degrade the system no longer.
    Acknowledge {
        /// The runs; a command for a group of failures names each.
        runs: Vec<RunId>,
        /// A note for other operators.
        reason: Option<String>,
    },
    /// Remove old entries of the journal and old outputs now.
    Prune {
        /// The age of entries; `None` keeps all.
        keep: Option<SignedDuration>,
        /// The age of outputs.
        keep_outputs: Option<SignedDuration>,
    },
    /// Begin again with a journal that was restored from a backup.
    Restore {
        /// The backup.
        file: String,
        /// Nothing has happened since the backup, so nothing is held.
        is_latest: bool,
        /// Pending launches of the backup that were launched since: they have a run's folder.
        launched_since: Vec<RunId>,
    },
    /// Set a value in the checklist.
    ChecklistSet {
        /// The keys from the top down, as YAML text of a list.
        path: String,
        /// The value, as YAML text.
        value: String,
    },
    /// Clear the checklist.
    ChecklistClear {
        /// Also while runs are open, whose rules may need it.
        force: bool,
    },
}

/// The answer to an operator's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub done: bool,
    /// The result, or the reason and a remedy.
    pub text: String,
    /// The numbers of the runs that it launched and the messages that it decided.
    #[serde(default)]
    pub numbers: Vec<Number>,
    /// The manager cannot decide at present; the command may be sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_undecided: bool,
}

impl Answer {
    /// Create the answer to a command that was done.
    #[must_use]
    pub fn done(text: impl Into<String>, numbers: Vec<Number>) -> Self {
        Self { done: true, text: text.into(), numbers, is_undecided: false }
    }

    /// Create the answer to a command that was refused, with the reason.
    #[must_use]
    pub fn refused(text: impl Into<String>) -> Self {
        Self { done: false, text: text.into(), numbers: Vec::new(), is_undecided: false }
    }
}
