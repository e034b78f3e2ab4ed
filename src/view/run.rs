//! [`RunView`]: a run as every surface shows it. Its keys are those of the JSON; `docs/operating.md` lists them.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::Serialize;

use super::context::ViewContext;
use super::times;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::run::{Stage, StopReason, is_failure};
use nowcast_core::{Cycle, Ending, NextWorker, Run};

/// The status of a run, named alike on every surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Decided, not yet started.
    Pending,
    /// Its process runs.
    Running,
    /// Contact with its host is lost.
    ContactLost,
    /// It runs and was asked to stop.
    Stopping,
    /// Its process has exited; its report is awaited.
    Exited,
    /// It reported a success.
    Succeeded,
    /// It reported a failure.
    Failed,
    /// It exited without a report, or reported `crash`.
    Crashed,
    /// An operator discarded it before it started.
    Discarded,
}

impl RunStatus {
    /// Return whether its process is running, as far as is known.
    pub fn is_active(self) -> bool {
        matches!(self, RunStatus::Running | RunStatus::ContactLost | RunStatus::Stopping)
    }

    /// Return the word that people see.
    pub fn word(self) -> &'static str {
        match self {
            RunStatus::Pending => "pending",
            RunStatus::Running => "running",
            RunStatus::ContactLost => "contact lost",
            RunStatus::Stopping => "stopping",
            RunStatus::Exited => "exited",
            RunStatus::Succeeded => "succeeded",
            RunStatus::Failed => "failed",
            RunStatus::Crashed => "crashed",
            RunStatus::Discarded => "discarded",
        }
    }
}

/// The reason why a run was asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum StopRequest {
    /// It ran longer than its timeout.
    Timeout,
    /// An operator killed it.
    Operator {
        /// The operator.
        user: String,
    },
}

impl fmt::Display for StopRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopRequest::Timeout => write!(out, "it ran longer than its timeout"),
            StopRequest::Operator { user } => write!(out, "killed by {user}"),
        }
    }
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct RunView {
    pub number: u64,
    pub worker: String,
    pub module: String,
    pub args: Vec<String>,
    pub host: String,
    pub cycle: Option<String>,
    pub state: RunStatus,
    /// The ending, in words.
    pub ending: Option<String>,
    /// The exit status of its program.
    pub exit_status: Option<i32>,
    /// The signal that killed its program.
    pub signal: Option<i32>,
    pub stop_requested: Option<StopRequest>,
    /// Since when and why contact with its host is lost.
    pub contact_lost: Option<String>,
    pub attempt: u32,
    pub retry_of: Option<u64>,
    /// The event whose decision launched it.
    pub cause: u64,
    pub due: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub seconds: Option<f64>,
    /// The number of the message by which it reported.
    pub report: Option<u64>,
    pub report_type: Option<String>,
    pub output: Option<PathBuf>,
}

impl RunView {
    /// The columns of the CSV: the keys of the JSON.
    pub const COLUMNS: [&str; 22] = [
        "number",
        "worker",
        "module",
        "args",
        "host",
        "cycle",
        "state",
        "ending",
        "exit_status",
        "signal",
        "stop_requested",
        "contact_lost",
        "attempt",
        "retry_of",
        "cause",
        "due",
        "started",
        "ended",
        "seconds",
        "report",
        "report_type",
        "output",
    ];

    pub fn new(run: &Run, context: &ViewContext) -> Self {
        let (due, started, ended, ending) = match &run.stage {
            Stage::Pending { .. } => (run.due(context.present), None, None, None),
            Stage::Launched { at, .. } => (None, Some(at.wall), None, None),
            Stage::Ended { launched, ending, .. } => (None, *launched, run.exited(), Some(ending)),
        };
        let folder = context.run_folder(run);
        let contact = folder
            .as_ref()
            .filter(|_| run.is_running())
            .and_then(super::super::launch::run_folder::RunFolder::lost_contact);
        let state = match status(run) {
            RunStatus::Running if contact.is_some() => RunStatus::ContactLost,
            state => state,
        };
        Self {
            number: run.id.0,
            worker: run.worker.name().to_owned(),
            module: run.worker.module.clone(),
            args: run.worker.args.clone(),
            host: run.worker.host.clone(),
            cycle: run.cycle.as_ref().map(Cycle::to_string),
            state,
            contact_lost: contact.map(|contact| contact.to_string()),
            ending: ending.map(Ending::to_string),
            exit_status: match ending {
                Some(Ending::Status(status)) => Some(*status),
                _ => None,
            },
            signal: match ending {
                Some(Ending::Killed(signal)) => Some(*signal),
                _ => None,
            },
            stop_requested: run.stop_requested.as_ref().map(|reason| match reason {
                StopReason::Timeout => StopRequest::Timeout,
                StopReason::Killed(user) => StopRequest::Operator { user: user.clone() },
            }),
            attempt: run.attempt,
            retry_of: run.retry_of.map(|before| before.0),
            cause: run.cause.0,
            due: due.map(|due| context.present.wall_at(due)),
            started,
            ended,
            seconds: run.duration(context.present.steady).map(|duration| duration.as_secs_f64()),
            report: run.report.as_ref().map(|report| report.message.0),
            report_type: run.report.as_ref().map(|report| report.r#type.clone()),
            output: folder.map(|folder| folder.output_log()),
        }
    }

    /// Return how long it ran or has been running.
    pub fn elapsed(&self) -> Option<SignedDuration> {
        self.seconds.map(SignedDuration::from_secs_f64)
    }

    /// Return its worker with arguments and host.
    pub fn label(&self) -> String {
        labelled(&self.worker, &self.args, &self.host)
    }

    /// Return its status or its ending, for a person.
    pub fn description(&self, now: &ZonedDateTime) -> String {
        let mut text = match (self.state, &self.ending) {
            (RunStatus::Pending, _) => match self.due {
                Some(due) if due > now.timestamp() => format!("pending until {}", times::second(due, now)),
                _ => "pending".to_owned(),
            },
            (state, _) if state.is_active() => format!("running{}", self.elapsed_text("for")),
            (_, Some(ending)) => format!("{ending}{}", self.elapsed_text("after")),
            (state, None) => state.word().to_owned(),
        };
        if let Some(why) = &self.stop_requested {
            let _ = write!(text, " ({why})");
        }
        if let Some(contact) = &self.contact_lost {
            let _ = write!(text, "; {contact}");
        }
        if let Some(report) = &self.report_type {
            let _ = write!(text, ", reported ({report})");
        }
        text
    }

    /// Return how long it ran after a preposition, or an empty text for a run that never started.
    fn elapsed_text(&self, preposition: &str) -> String {
        self.elapsed().map(|elapsed| format!(" {preposition} {}", times::span(elapsed))).unwrap_or_default()
    }
}

fn status(run: &Run) -> RunStatus {
    let is_own_failure = |r#type: &str| is_failure(r#type) && r#type != "crash";
    match (&run.stage, run.has_succeeded()) {
        (Stage::Pending { .. }, _) => RunStatus::Pending,
        (Stage::Launched { .. }, _) if run.stop_requested.is_some() => RunStatus::Stopping,
        (Stage::Launched { .. }, _) => RunStatus::Running,
        (_, None) => RunStatus::Discarded,
        _ if !run.is_closed() => RunStatus::Exited,
        (_, Some(true)) => RunStatus::Succeeded,
        (_, Some(false)) => match &run.report {
            Some(report) if is_own_failure(&report.r#type) => RunStatus::Failed,
            _ => RunStatus::Crashed,
        },
    }
}

/// Return a worker with its arguments and, if it is not this machine, its host.
pub fn label(worker: &NextWorker) -> String {
    labelled(worker.name(), &worker.args, &worker.host)
}

fn labelled(name: &str, args: &[String], host: &str) -> String {
    let mut text = name.to_owned();
    if !args.is_empty() {
        text.push(' ');
        text.push_str(&arguments(args));
    }
    if host != LOCALHOST {
        text.push_str(" on ");
        text.push_str(host);
    }
    text
}

/// Return arguments joined and quoted for a shell.
pub fn arguments(args: &[String]) -> String {
    crate::shell_words::joined(args)
}
