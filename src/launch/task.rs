//! [`RunnerTask`]: the task of a runner, and how it waits for processes and signals, on this machine or a remote host.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use super::launch_command::{ExecWorker, RemoteCommands};
use super::run_folder::RunFolder;
use crate::config::StartSettings;
use crate::process::machine;

/// The timeout of a write to standard error, whose reader may block.
const STDERR_TIMEOUT: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The bytes that a pipe which can be written to takes without blocking: see pipe(7).
const PIPE_BUF: usize = 4096;

/// The task of a runner.
#[derive(Debug, Clone)]
pub struct RunnerTask {
    /// The run's folder, an absolute path.
    pub folder: RunFolder,
    /// The run, as the worker reads it from `NOWCAST_RUN_ID`.
    pub run: String,
    /// The command line to start on this machine: the worker's, or the one that launches it on a remote host.
    pub argv: Vec<OsString>,
    /// The worker for which the runner reports; `None` if the worker reports itself.
    pub exec: Option<ExecWorker>,
    /// How to find and stop the run, if the worker is on a remote host.
    pub remote: Option<RemoteCommands>,
    /// How the command starts.
    pub start: StartSettings,
    /// Whether to adopt a run whose runner has died.
    pub is_adoption: bool,
    /// The grace period of a worker between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// How long the start of the worker is tried again while the system has no process, memory or descriptor for it.
    pub start_timeout: Duration,
    /// The streams that the runner was started with.
    pub streams: Streams,
}

/// Standard output and standard error as they were when this process started. `None` where one is closed, or the system
/// had no descriptor left.
#[derive(Debug, Clone)]
pub struct Streams {
    stdout: Option<Arc<OwnedFd>>,
    stderr: Option<Arc<OwnedFd>>,
}

impl Streams {
    /// Return the current streams of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let stdout = io::stdout().as_fd().try_clone_to_owned().ok().map(Arc::new);
        Self { stdout, stderr: io::stderr().as_fd().try_clone_to_owned().ok().map(Arc::new) }
    }

    /// Return another descriptor of standard output.
    pub(super) fn stdout(&self) -> Option<OwnedFd> {
        self.stdout.as_ref().and_then(|stdout| stdout.try_clone().ok())
    }
}

impl RunnerTask {
    /// Return the tag of a run's processes on its host.
    pub(super) fn run_tag(&self) -> String {
        format!("{}:{}", machine(), self.folder.path().display())
    }

    /// Write a line about the run to the first standard error. A reader that blocks delays the runner by the timeout at
    /// most, and the line is lost.
    pub(super) fn complain(&self, text: &str) {
        let Some(stderr) = &self.streams.stderr else { return };
        let mut line = format!("nowcast runner: run {}: {text}\n", self.run).into_bytes();
        line.truncate(PIPE_BUF);
        // No thread: there may be none for the line that says so.
        let mut ready = [PollFd::new(stderr, PollFlags::OUT)];
        if retry_on_intr(|| poll(&mut ready, Some(&STDERR_TIMEOUT))) == Ok(1) {
            let _ = retry_on_intr(|| rustix::io::write(stderr, &line));
        }
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

/// Wait until one of these can be read, or until a moment. Return for each whether it can be read.
///
/// # Errors
/// When the operating system refuses, such as for more descriptors than the limit of open files. The poll of libzmq would abort.
pub(super) fn wait(descriptors: &[BorrowedFd<'_>], until: Option<Instant>) -> io::Result<Vec<bool>> {
    let mut items: Vec<PollFd<'_>> =
        descriptors.iter().map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN)).collect();
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // A time beyond the longest of the system never comes.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut items, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            result => {
                result?;
                return Ok(items.iter().map(|item| !item.revents().is_empty()).collect());
            }
        }
    }
}
