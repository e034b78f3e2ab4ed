//! The control socket, the operators' end: asks the manager and waits for its answer.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use nowcast_core::{Answer, Command};

/// The socket's name in the journal's folder.
pub(super) const NAME: &str = "control";

/// How long the manager may take to say that it works.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an operator's command waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What an operator's command sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// The user's name.
    pub user: String,
    /// What is asked; nothing if only to know whether the manager works.
    pub command: Option<Command>,
}

/// Why the manager could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens.
    #[error(
        "the manager cannot be reached at {}: {error}. Is it running? (nowcast up, or nowcast manager)",
        path.display()
    )]
    NoManager {
        /// The socket.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The manager ended or does not answer.
    #[error(
        "the manager did not answer ({0}). Whether it took the request, and what came of it, nowcast status and its log say: \
         look there before you ask again"
    )]
    NoAnswer(String),
}

/// Asks the manager whose journal is in `folder`.
///
/// # Errors
/// When it cannot be reached or does not answer.
pub fn call(folder: &Path, call: &Call) -> Result<Answer, CallError> {
    call_within(folder, call, TIMEOUT)
}

/// Asks with another timeout. What it did not answer in time it may do all the same.
///
/// # Errors
/// See [`call`].
pub fn call_within(folder: &Path, call: &Call, timeout: Duration) -> Result<Answer, CallError> {
    let mut stream =
        connect(folder).map_err(|error| CallError::NoManager { path: folder.join(NAME), error })?;
    let no_answer = |error: &dyn std::fmt::Display| CallError::NoAnswer(error.to_string());
    let failed = |error: &io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            no_answer(&format_args!("for {} s", timeout.as_secs()))
        }
        _ => no_answer(error),
    };
    let mut line = serde_json::to_vec(call).map_err(|error| no_answer(&error))?;
    line.push(b'\n');
    let limit = Some(timeout);
    stream
        .set_read_timeout(limit)
        .and_then(|()| stream.set_write_timeout(limit))
        .and_then(|()| stream.write_all(&line))
        .map_err(|error| failed(&error))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| failed(&error))?;
    serde_json::from_slice(&answer).map_err(|_| no_answer(&"it hung up"))
}

fn connect(folder: &Path) -> io::Result<UnixStream> {
    let (_handle, short) = reachable(folder)?;
    UnixStream::connect(short)
}

/// Whether a manager runs and responds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// No process listens on the control socket.
    NotRunning,
    /// A process listens and does not respond within [`HEALTH_TIMEOUT`].
    Unresponsive,
    /// The manager responds with the reason why it does nothing at the moment.
    Paused(String),
    /// The manager responds and works.
    Running,
}

/// How the manager is whose journal is in `folder`.
#[must_use]
pub fn service(folder: &Path) -> Service {
    match call_within(folder, &Call { user: String::new(), command: None }, HEALTH_TIMEOUT) {
        Ok(answer) if answer.done => Service::Running,
        Ok(answer) => Service::Paused(answer.text),
        Err(CallError::NoManager { .. }) => Service::NotRunning,
        Err(CallError::NoAnswer(_)) => Service::Unresponsive,
    }
}

/// The socket's path, short whatever the folder is: a socket's address has room for 107 bytes. Good
/// for as long as the handle lives.
pub(super) fn reachable(folder: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let handle = OwnedFd::from(fs::File::open(folder)?);
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", handle.as_raw_fd()));
    Ok((handle, path))
}
