//! [`RunnerTask`]: the task of a runner, and how it waits for processes and signals, on this machine or a remote host.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zmq::{POLLIN, PollItem};

use super::children::Children;
use super::launch_command::{RemoteCommands, machine};
use super::run_folder::RunFolder;
use crate::net::socket;
use crate::signals::Signals;

/// The timeout of a write to standard error, whose reader may block.
const STDERR_TIMEOUT: Duration = Duration::from_secs(2);

/// The task of a runner.
#[derive(Debug, Clone)]
pub struct RunnerTask {
    /// The run's folder, an absolute path.
    pub folder: RunFolder,
    /// The run, as the worker reads it from `NOWCAST_RUN_ID`.
    pub run: String,
    /// The command line to start on this machine: the worker's, or the one that launches it on a remote host.
    pub argv: Vec<OsString>,
    /// How to find and stop the run, if the worker is on a remote host.
    pub remote: Option<RemoteCommands>,
    /// Whether to adopt a remote run whose runner has died.
    pub is_adoption: bool,
    /// The grace period of a worker between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl RunnerTask {
    /// Return the mark of a run's processes on its host.
    pub(super) fn run_tag(&self) -> String {
        format!("{}:{}", machine(), self.folder.path().display())
    }
}

/// A process that a runner watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Process {
    /// The worker, or the command that launches it on a remote host.
    Worker,
    /// A call to the remote host.
    Call,
}

/// Wait for an exit, a signal, or a moment.
pub(super) fn wait(
    children: &Children<Process>,
    signals: &Signals,
    until: Option<Instant>,
) -> io::Result<()> {
    let timeout =
        until.map_or(-1, |until| socket::milliseconds(until.saturating_duration_since(Instant::now())));
    let mut items =
        [PollItem::from_fd(children.as_raw_fd(), POLLIN), PollItem::from_fd(signals.as_raw_fd(), POLLIN)];
    socket::poll(&mut items, timeout).map_err(io::Error::other)?;
    Ok(())
}

/// Write a line to standard error. A reader that blocks delays the runner by the timeout at most.
pub(super) fn complain(text: &str) {
    let line = format!("nowcast runner: {text}\n");
    let (sender, done) = mpsc::channel::<()>();
    let write = move || {
        let _ = io::stderr().write_all(line.as_bytes());
        drop(sender);
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = done.recv_timeout(STDERR_TIMEOUT);
    }
}
