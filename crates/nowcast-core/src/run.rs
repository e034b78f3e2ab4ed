//! [`Run`]: one execution of a worker, from the moment it is wanted to its known end.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::next_worker::NextWorker;

/// Names whatever an operator can ask about: events, runs, joins, parked launches and holds are counted
/// in one sequence, so `#8812` means one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(pub u64);

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{}", self.0)
    }
}

/// Names one execution of a worker.
pub type RunId = Number;

/// One execution of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// What runs.
    pub worker: NextWorker,
    /// The event whose decision wanted it.
    pub cause: Number,
    /// 1 for the first execution, one more for each retry.
    pub attempt: u32,
    /// The run that this one tries again.
    pub retry_of: Option<RunId>,
    /// How far it is.
    pub stage: Stage,
    /// The message by which the worker reported, or the `crash` that was made for it.
    pub report: Option<RunReport>,
    /// Why the manager requested its stop, if it did.
    pub stop_requested: Option<StopReason>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Pending: its time has not come, or a hold or a limit blocks it.
    Pending {
        /// Not before that moment.
        due: Timestamp,
    },
    /// It was handed to a runner.
    Launched {
        /// When.
        at: Timestamp,
        /// Its folder below `runs/`: `2026-03-14/8812`.
        folder: String,
    },
    /// It is over.
    Ended {
        /// When it was handed to a runner; `None` if it never was.
        launched: Option<Timestamp>,
        /// When it ended.
        at: Timestamp,
        /// How.
        ending: Ending,
        /// Its folder below `runs/`; empty if it never was launched.
        folder: String,
    },
}

/// How the rules heard of a run's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The message.
    pub message: Number,
    /// Its type.
    pub r#type: String,
}

impl RunReport {
    /// Whether it says how the worker ended; a worker may send others on its way (`halfway`).
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.r#type.starts_with("success") || is_failure(&self.r#type)
    }
}

impl Run {
    /// Whether nothing more is to come of it: it ended and the rules know.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.stage {
            Stage::Ended { ending, .. } => {
                self.report.is_some() || *ending == Ending::Discarded || self.is_debug()
            }
            _ => false,
        }
    }

    /// Its folder below `runs/`, once it was handed to a runner.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        match &self.stage {
            Stage::Pending { .. } => None,
            Stage::Launched { folder, .. } | Stage::Ended { folder, .. } => {
                Some(folder.as_str()).filter(|folder| !folder.is_empty())
            }
        }
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Ended { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Whether it ended with status 0, or on a host that gives no status after it had reported, and reported no
    /// failure; `None` while that is open and for a discarded one.
    #[must_use]
    pub fn has_succeeded(&self) -> Option<bool> {
        match &self.stage {
            Stage::Ended { ending, .. } if *ending != Ending::Discarded => {
                let has_failed = self.report.as_ref().map(|report| is_failure(&report.r#type));
                let is_known_by_report = matches!(ending, Ending::OnHost(_)) && has_failed == Some(false);
                Some(is_known_by_report || ending.is_success() && has_failed != Some(true))
            }
            _ => None,
        }
    }

    /// Whether its worker was told to send nothing.
    fn is_debug(&self) -> bool {
        self.worker.args.iter().any(|arg| arg == "--debug")
    }

    /// Whether it was handed to a runner and has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Launched { .. })
    }
}

/// Why the stop of a run was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It ran longer than its timeout.
    Timeout,
    /// That user killed it.
    Killed(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It exited with that status.
    Status(i32),
    /// That signal killed it.
    Killed(i32),
    /// It ended, and nobody can say how.
    Unknown,
    /// It ended on another host, which gives no status but says that.
    OnHost(String),
    /// It could not be started, for that reason.
    NotStarted(String),
    /// An operator discarded it before it was launched.
    Discarded,
}

impl Ending {
    /// Whether it exited with status 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Ending::Status(0)
    }
}

/// Whether a message of that type says that its worker failed: `crash`, or one that begins with `failure`.
#[must_use]
pub fn is_failure(r#type: &str) -> bool {
    r#type == "crash" || r#type.starts_with("failure")
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Status(status) => write!(out, "ended with status {status}"),
            Ending::Killed(signal) => write!(out, "was killed by signal {signal}"),
            Ending::Unknown => write!(out, "ended, and the operating system does not say how"),
            Ending::OnHost(said) => write!(out, "ended on its host: {said}"),
            Ending::NotStarted(reason) => write!(out, "could not be started: {reason}"),
            Ending::Discarded => write!(out, "was discarded before it was launched"),
        }
    }
}
