//! [`Run`]: one execution of a worker, from the pending launch to its end.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{Now, Steady, TimePoint};
use crate::cycle::Cycle;
use crate::next_worker::NextWorker;

/// The number of an event, run, join, parked item or hold. All are counted in one sequence, so `#8812` means one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(pub u64);

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{}", self.0)
    }
}

/// The number of a run.
pub type RunId = Number;

/// The most messages of a run that [`Run::sent`] has.
pub const MOST_SENT: usize = 100;

/// One execution of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// The worker, with arguments, host and options.
    pub worker: NextWorker,
    /// Its cycle, fixed when the launch was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// The event whose decision requested it.
    pub cause: Number,
    /// The identified join whose own launch it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Number>,
    /// The first run of its chain, if that is another one: a run, its retries and its reruns count as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<RunId>,
    /// 1 for the first execution, one more for each retry.
    pub attempt: u32,
    /// The failed run that it retries.
    pub retry_of: Option<RunId>,
    /// Its stage.
    pub stage: Stage,
    /// The last message that its worker sent, not only a final one, or the `crash` that the manager reported for it.
    pub report: Option<RunReport>,
    /// The messages that its worker sent before that, and each `clear checklist`; the first [`MOST_SENT`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<RunReport>,
    /// Why its stop was requested, if it was.
    pub stop_requested: Option<StopReason>,
    /// The journal was restored from a backup in which it was running: it may have ended since, so it is never started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_restored: bool,
}

/// The stage of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Pending: not due yet, or blocked by a hold or a limit.
    Pending {
        /// When it may be launched.
        due: Steady,
        /// The time of the wall clock at which it may be launched, instead of `due`: the option `at`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// Its launch was decided; its runner may still have to start.
    Launched {
        /// When it was launched.
        #[serde(flatten)]
        at: TimePoint,
        /// Its folder below `runs/`: `2026-03-14/8812`.
        folder: String,
    },
    /// It ended, could not be started, or was discarded.
    Ended {
        /// When it was launched, by the wall clock of that time; `None` if it never was.
        launched: Option<Timestamp>,
        /// When it ended, by the wall clock of that time; `None` if its runner has not noted that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exited: Option<Timestamp>,
        /// When the manager learned that it had ended: later, if no manager was running then. Its report is awaited from then on.
        #[serde(flatten)]
        at: TimePoint,
        /// How long it ran; `None` if it was never launched, and in old entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ran: Option<SignedDuration>,
        /// How it ended.
        ending: Ending,
        /// Its folder below `runs/`; empty if it was never launched.
        folder: String,
    },
}

/// The message that reported for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The message.
    pub message: Number,
    /// Its type.
    pub r#type: String,
}

impl RunReport {
    /// Return whether it reports success or failure. Workers may send other messages before.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.r#type.starts_with("success") || is_failure(&self.r#type)
    }
}

impl Run {
    /// Return the number of its chain: that of the first run of a run with its retries and reruns.
    #[must_use]
    pub fn chain(&self) -> RunId {
        self.origin.unwrap_or(self.id)
    }

    /// Add a message that its worker sent beside its report.
    pub(super) fn add_sent(&mut self, report: RunReport) {
        if self.sent.len() < MOST_SENT {
            self.sent.push(report);
        }
    }

    /// Return whether it has ended and been reported, so that nothing more is expected of it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.stage {
            Stage::Ended { ending, .. } => {
                self.report.is_some() || *ending == Ending::Discarded || self.is_debug()
            }
            _ => false,
        }
    }

    /// Return its folder below `runs/`, once it was launched.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        match &self.stage {
            Stage::Pending { .. } => None,
            Stage::Launched { folder, .. } | Stage::Ended { folder, .. } => {
                Some(folder.as_str()).filter(|folder| !folder.is_empty())
            }
        }
    }

    /// Return when it may be launched, in steady time, if the wall clock is not set until then; `None` once it was launched.
    #[must_use]
    pub fn due(&self, now: Now) -> Option<Steady> {
        match self.stage {
            Stage::Pending { due, at } => Some(at.map_or(due, |at| now.steady_at(at))),
            _ => None,
        }
    }

    /// Return when the manager learned that it had ended, if it has.
    #[must_use]
    pub fn end_learned_at(&self) -> Option<TimePoint> {
        match self.stage {
            Stage::Ended { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Return when it ended, by the wall clock, if it has: when the manager learned it, if nothing else is known.
    #[must_use]
    pub fn exited(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Ended { exited, at, .. } => Some(exited.unwrap_or(at.wall)),
            _ => None,
        }
    }

    /// Return how long it ran, or has been running at a point of steady time; `None` if it was never launched.
    #[must_use]
    pub fn duration(&self, now: Steady) -> Option<SignedDuration> {
        match self.stage {
            Stage::Pending { .. } => None,
            Stage::Launched { at, .. } => Some(now.since(at.steady)),
            Stage::Ended { launched, at, ran, .. } => {
                ran.or_else(|| launched.map(|launched| Steady(at.wall).since(Steady(launched))))
            }
        }
    }

    /// Return whether it exited with status 0 and did not report a failure; `None` while it is open or if it was discarded.
    /// Where a host gives no exit status, the report decides.
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

    /// Return whether its worker sends no messages.
    fn is_debug(&self) -> bool {
        self.worker.args.iter().any(|arg| arg == "--debug")
    }

    /// Return whether its launch was decided and its end is not known. So it counts for `max running` before it has a process.
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
    /// This operator killed it.
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
    /// Its exit status is unknown.
    Unknown,
    /// It ended on a remote host that gives no exit status but this text.
    OnHost(String),
    /// It could not be started, for this reason.
    NotStarted(String),
    /// An operator discarded it before it was launched.
    Discarded,
}

impl Ending {
    /// Return whether it exited with status 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Ending::Status(0)
    }
}

/// Return whether a message type reports a failure: `crash`, or a type that begins with `failure`.
#[must_use]
pub fn is_failure(r#type: &str) -> bool {
    r#type == "crash" || r#type.starts_with("failure")
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Status(status) => write!(out, "exited with status {status}"),
            Ending::Killed(signal) => write!(out, "was killed by signal {signal}"),
            Ending::Unknown => write!(out, "exited with unknown status"),
            Ending::OnHost(said) => write!(out, "ended on its host: {said}"),
            Ending::NotStarted(reason) => write!(out, "could not be started: {reason}"),
            Ending::Discarded => write!(out, "was discarded before it was launched"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: TimePoint = TimePoint::by_wall_clock(Timestamp::UNIX_EPOCH);

    fn run(stage: Stage, report: Option<&str>, args: &[&str]) -> Run {
        Run {
            id: Number(8),
            worker: NextWorker::new("sleep", args.iter().map(|arg| (*arg).to_owned()).collect()),
            cycle: None,
            cause: Number(7),
            join: None,
            origin: None,
            attempt: 1,
            retry_of: None,
            stage,
            report: report.map(|r#type| RunReport { message: Number(9), r#type: r#type.to_owned() }),
            sent: Vec::new(),
            stop_requested: None,
            is_restored: false,
        }
    }

    fn ended(ending: Ending) -> Stage {
        let folder = "2026-03-14/8".to_owned();
        Stage::Ended { launched: None, exited: None, at: EPOCH, ran: None, ending, folder }
    }

    #[test]
    fn a_run_succeeds_by_its_exit_and_its_report_together() {
        for (ending, report, expected) in [
            (Ending::Status(0), Some("success"), Some(true)),
            (Ending::Status(0), None, Some(true)),
            (Ending::Status(0), Some("failure nowcast"), Some(false)),
            (Ending::Status(0), Some("crash"), Some(false)),
            (Ending::Status(1), Some("success"), Some(false)),
            (Ending::Killed(15), Some("success"), Some(false)),
            (Ending::Unknown, Some("success"), Some(false)),
            (Ending::OnHost("COMPLETED".to_owned()), Some("success"), Some(true)),
            (Ending::OnHost("COMPLETED".to_owned()), Some("failure"), Some(false)),
            (Ending::OnHost("COMPLETED".to_owned()), None, Some(false)),
            (Ending::NotStarted("no".to_owned()), None, Some(false)),
            (Ending::Discarded, None, None),
        ] {
            let run = run(ended(ending.clone()), report, &[]);
            assert_eq!(run.has_succeeded(), expected, "{ending}, {report:?}");
        }
        let due = Stage::Pending { due: EPOCH.steady, at: None };
        assert_eq!(run(due, None, &[]).has_succeeded(), None);
    }

    #[test]
    fn a_run_is_closed_when_it_ended_and_no_report_is_awaited() {
        let launched = Stage::Launched { at: EPOCH, folder: "2026-03-14/8".to_owned() };
        for (stage, report, args, expected) in [
            (launched, Some("success"), &[][..], false),
            (ended(Ending::Status(0)), None, &[][..], false),
            (ended(Ending::Status(0)), Some("success"), &[][..], true),
            (ended(Ending::Status(0)), None, &["--debug"][..], true),
            (ended(Ending::Discarded), None, &[][..], true),
        ] {
            let run = run(stage, report, args);
            assert_eq!(run.is_closed(), expected, "{run:?}");
        }
    }

    #[test]
    fn a_last_report_is_a_success_or_a_failure() {
        for (r#type, is_last, is_a_failure) in [
            ("success 12", true, false),
            ("failure", true, true),
            ("crash", true, true),
            ("halfway", false, false),
            ("crashed", false, false),
        ] {
            let report = RunReport { message: Number(1), r#type: r#type.to_owned() };
            assert_eq!((report.is_final(), is_failure(r#type)), (is_last, is_a_failure), "{type}");
        }
    }

    #[test]
    fn a_run_that_was_never_launched_has_no_folder() {
        assert_eq!(run(ended(Ending::Status(0)), None, &[]).folder(), Some("2026-03-14/8"));
        let discarded = Stage::Ended {
            launched: None,
            exited: None,
            at: EPOCH,
            ran: None,
            ending: Ending::Discarded,
            folder: String::new(),
        };
        assert_eq!(run(discarded, None, &[]).folder(), None);
    }
}
