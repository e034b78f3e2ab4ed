//! The operators' end of a control socket: sends a request to the manager, or to `nowcast up`, and waits for the answer.
//!
//! It never decides anything, and never waits without a timeout.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::version;
use nowcast_core::{Answer, Command};

/// A process that listens on a control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The manager.
    Manager,
    /// `nowcast up`.
    Up,
}

impl Listener {
    /// Return the socket's name in the journal's folder.
    #[must_use]
    pub fn socket(self) -> &'static str {
        match self {
            Self::Manager => "control",
            Self::Up => "up-control",
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Manager => "the manager",
            Self::Up => "\"nowcast up\"",
        })
    }
}

/// The answer of a manager that works to a health check. Another answer tells what it lacks.
pub const WORKS: &str = "the manager works";

/// The timeout for a health check of the manager.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// The timeout for the answer to an operator's command.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The request that an operator's command sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call<C = Command> {
    /// The user's name.
    pub user: String,
    /// The command; `None` for a health check.
    pub command: Option<C>,
}

/// Why an exchange over a control socket failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No process listens on the socket.
    #[error("{0}")]
    NoListener(io::Error),
    /// The listener exited or did not answer in time.
    #[error("{0}")]
    NoAnswer(String),
}

/// The manager's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// The manager's version; an older one does not tell.
    #[serde(default)]
    pub version: Option<String>,
}

/// Why there is no answer of the manager.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No process listens on the socket.
    #[error(
        "the manager cannot be reached at {}: {error}. Is it running? (nowcast up, or nowcast manager)",
        path.display()
    )]
    NoManager {
        /// The socket.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The manager exited or did not answer in time.
    #[error(
        "the manager did not answer ({0}). It may have executed the request: check nowcast status and the manager's log before \
         you try again"
    )]
    NoAnswer(String),
}

/// Send a request to the manager whose journal is in `folder`, and return its answer.
///
/// # Errors
/// The manager cannot be reached or does not answer.
pub fn call(folder: &Path, call: &Call) -> Result<Answer, CallError> {
    call_within(folder, call, TIMEOUT).map(|response| response.answer)
}

/// Send a request with a timeout, and return the answer with the version of the manager. The manager may still execute a request that it did not answer in time.
///
/// # Errors
/// See [`call`].
pub fn call_within(folder: &Path, call: &Call, timeout: Duration) -> Result<Response, CallError> {
    exchange(folder, Listener::Manager, call, timeout).map_err(|error| match error {
        ExchangeError::NoListener(error) => {
            CallError::NoManager { path: folder.join(Listener::Manager.socket()), error }
        }
        ExchangeError::NoAnswer(why) => CallError::NoAnswer(why),
    })
}

/// Send a request to a listener whose socket is in `folder`, and return its answer.
///
/// # Errors
/// The listener cannot be reached or does not answer.
pub fn exchange<C: Serialize, A: DeserializeOwned>(
    folder: &Path,
    listener: Listener,
    call: &Call<C>,
    timeout: Duration,
) -> Result<A, ExchangeError> {
    let mut stream = connect(folder, listener).map_err(ExchangeError::NoListener)?;
    let no_answer = |error: &dyn fmt::Display| ExchangeError::NoAnswer(error.to_string());
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
    serde_json::from_slice(&answer).map_err(|_| no_answer(&"it closed the connection"))
}

fn connect(folder: &Path, listener: Listener) -> io::Result<UnixStream> {
    let (_handle, short) = short_path(folder, listener.socket())?;
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
    /// The manager responds with the reason why it gets no messages at the moment.
    Refused(String),
    /// The manager responds and works.
    Running,
}

/// Return whether the manager whose journal is in `folder` runs and responds, and if it does, how its version differs.
#[must_use]
pub fn service(folder: &Path) -> (Service, Option<String>) {
    let response = call_within(folder, &Call { user: String::new(), command: None }, HEALTH_TIMEOUT);
    let other_version =
        response.as_ref().ok().and_then(|response| version::difference(response.version.as_deref()));
    let service = match response.map(|response| response.answer) {
        Ok(answer) if answer.done && answer.text == WORKS => Service::Running,
        Ok(answer) if answer.done => Service::Refused(answer.text),
        Ok(answer) => Service::Paused(answer.text),
        Err(CallError::NoManager { .. }) => Service::NotRunning,
        Err(CallError::NoAnswer(_)) => Service::Unresponsive,
    };
    (service, other_version)
}

/// Return a short path of a socket: a socket's address has room for 107 bytes only. The path is valid in this process, as long as the
/// handle lives.
pub(super) fn short_path(folder: &Path, socket: &str) -> io::Result<(OwnedFd, PathBuf)> {
    let handle = OwnedFd::from(fs::File::open(folder)?);
    let path = PathBuf::from(format!("/proc/self/fd/{}/{socket}", handle.as_raw_fd()));
    Ok((handle, path))
}
