//! The operators' end of the control socket of `nowcast up`. It never waits without a timeout.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::only_one::RunningUp;
use crate::control::call::{Call, ExchangeError, Listener, exchange};

/// A command for `nowcast up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum UpCommand {
    /// Stop daemons and start them again, one after the other; all if none is named.
    Restart {
        /// Their commands, such as `log-aggregator`.
        daemons: Vec<String>,
    },
    /// Let all daemons reload their configuration.
    Reload,
    /// Stop all daemons, and then `nowcast up`. Workers continue.
    Shutdown,
}

/// The answer of `nowcast up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpAnswer {
    /// Whether all was done; for a health check whether all daemons are ready.
    pub done: bool,
    /// The reason if not, or the result.
    pub text: String,
    /// The daemons that are concerned.
    #[serde(default)]
    pub daemons: Vec<DaemonResult>,
}

/// A daemon in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonResult {
    /// Its command, such as `log-aggregator`.
    pub name: String,
    /// Its process, if it runs.
    pub process: Option<i32>,
    /// Whether the command was done; for a health check whether it is ready.
    pub done: bool,
    /// The result in words.
    pub text: String,
}

impl UpAnswer {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self { done: false, text: text.into(), daemons: Vec::new() }
    }
}

/// The reason why `nowcast up` did not answer.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// None runs for this journal.
    #[error("no \"nowcast up\" runs for the journal {}", folder.display())]
    NotRunning {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// One runs, but its socket cannot be reached.
    #[error(
        "{running} cannot be reached at its socket ({error}); it makes a new one within a second, unless it is stopped"
    )]
    Unreachable {
        /// The one that runs.
        running: RunningUp,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// It exited or did not answer in time.
    #[error(
        "\"nowcast up\" did not answer ({0}). It may have executed the request: check nowcast status before you try again"
    )]
    NoAnswer(String),
}

/// Ask the `nowcast up` whose journal is in `folder`.
///
/// # Errors
/// None runs, or it cannot be reached or does not answer.
pub fn ask(folder: &Path, call: &Call<UpCommand>, timeout: Duration) -> Result<UpAnswer, UpError> {
    exchange(folder, Listener::Up, call, timeout).map_err(|error| match (error, RunningUp::find(folder)) {
        (ExchangeError::NoAnswer(why), _) => UpError::NoAnswer(why),
        (ExchangeError::NoListener(error), Some(running)) => UpError::Unreachable { running, error },
        (ExchangeError::NoListener(_), None) => UpError::NotRunning { folder: folder.to_owned() },
    })
}
