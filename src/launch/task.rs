//! What a runner is told to do, and what it needs while it waits for a process, on this machine or another one.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zmq::{POLLIN, PollItem};

use super::children::Children;
use super::on_host::{RemoteCommands, machine};
use super::run_folder::RunFolder;
use crate::net::socket;
use crate::signals::Signals;

/// How long a line for standard error is worth waiting for its reader.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a runner is to do.
#[derive(Debug, Clone)]
pub struct RunnerTask {
    /// The run's folder, an absolute path.
    pub folder: RunFolder,
    /// The run, as the worker reads it from `NOWCAST_RUN_ID`.
    pub run: String,
    /// The command line that is started here: the worker's, or what launches it on another host.
    pub argv: Vec<OsString>,
    /// For a worker that runs on another host.
    pub remote: Option<RemoteCommands>,
    /// A runner before had the run on another host, and is dead.
    pub is_adoption: bool,
    /// How long a worker that is told to end may take before it is killed.
    pub grace: Duration,
}

impl RunnerTask {
    /// By what a run's processes on its host are known.
    pub(super) fn run_mark(&self) -> String {
        format!("{}:{}", machine(), self.folder.path().display())
    }
}

/// A process of a runner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Process {
    /// The worker, or what launches it on another host.
    Worker,
    /// A question for the other host, or an order.
    Call,
}

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

/// A line on standard error, whose reader may be gone or stuck.
pub(super) fn complain(text: &str) {
    let line = format!("nowcast runner: {text}\n");
    let (sender, done) = mpsc::channel::<()>();
    let write = move || {
        let _ = io::stderr().write_all(line.as_bytes());
        drop(sender);
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = done.recv_timeout(PATIENCE);
    }
}
