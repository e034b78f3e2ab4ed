//! [`Command`]: what an operator can ask of the manager, as it travels over the control socket and is kept
//! in the journal.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hold::HoldTarget;
use crate::next_worker::NextWorker;
use crate::run::{Number, RunId};

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Launch a worker.
    Launch {
        /// What.
        worker: NextWorker,
        /// The run that this launch repeats, if it is a rerun.
        rerun_of: Option<RunId>,
    },
    /// Launch a worker whose time has come, unless it was launched for that time already.
    LaunchScheduled {
        /// What names it in the schedule.
        item: String,
        /// The time.
        due: Timestamp,
        /// What.
        worker: NextWorker,
    },
    /// Decide parked messages again.
    Retry {
        /// Which one; `None` for all.
        message: Option<Number>,
        /// With the checklist as it was before the message instead of the one of now.
        historical_checklist: bool,
    },
    /// Speak for a worker.
    Send {
        /// The worker.
        source: String,
        /// The message type.
        r#type: String,
        /// The payload, as YAML text.
        payload: String,
    },
    /// End a run.
    Kill {
        /// Which one.
        run: RunId,
    },
    /// Let launches wait.
    Hold {
        /// Which.
        target: HoldTarget,
        /// Until when; `None` until it is released.
        until: Option<Timestamp>,
        /// Why.
        reason: Option<String>,
    },
    /// Let go: a hold, or launches that are parked or wait.
    Release {
        /// The number of a hold, of parked launches, of a join or of a pending launch.
        number: Number,
    },
    /// Discard a parked message, parked launches, a join or a pending launch.
    Discard {
        /// Its number.
        number: Number,
    },
    /// Record that failed runs have been seen, so that they degrade the system no longer.
    Acknowledge {
        /// The runs; a command for a group of failures names each.
        runs: Vec<RunId>,
        /// A note for other operators.
        reason: Option<String>,
    },
    /// Put a value into the checklist.
    ChecklistSet {
        /// The keys from the top down, as YAML text of a list.
        path: String,
        /// The value, as YAML text.
        value: String,
    },
    /// Empty the checklist.
    ChecklistClear {
        /// Also while runs are open, whose rules may miss it.
        force: bool,
    },
}

/// How far ahead of the clock a time may be that was kept: clocks that were wrong are set back by less.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Whether a time for which something was launched cannot have come: a clock that was wrong then must not keep the
/// schedule back until it comes.
#[must_use]
pub fn is_ahead(launched_for: Timestamp, now: Timestamp) -> bool {
    launched_for.duration_since(now) > AHEAD
}

/// What an operator is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why not and what helps.
    pub text: String,
    /// The numbers that came of it: the runs that were made, the messages that were decided.
    #[serde(default)]
    pub numbers: Vec<Number>,
    /// Nothing was decided: the manager stands still, and may do it when it is asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_undecided: bool,
}

impl Answer {
    /// It was done.
    #[must_use]
    pub fn done(text: impl Into<String>, numbers: Vec<Number>) -> Self {
        Self { done: true, text: text.into(), numbers, is_undecided: false }
    }

    /// It was not done, and why.
    #[must_use]
    pub fn refused(text: impl Into<String>) -> Self {
        Self { done: false, text: text.into(), numbers: Vec::new(), is_undecided: false }
    }
}
