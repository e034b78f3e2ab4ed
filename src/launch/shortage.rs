//! A shortage of processes, threads, memory or descriptors: what the operating system refuses for it is tried again. A runner
//! that has not claimed its run leaves that to the manager, since runners that wait hold what they wait for.
//!
//! It never repeats a step that took place.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::exit_record::STOPPED_BEFORE_START;
use super::task::{RunnerTask, wait};
use crate::signals::Signals;
use error_text::with_causes;
use nowcast_core::{Ending, Signal};

/// The pause before the second attempt; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The threads or processes that a step of a runner needs: at most two of ZeroMQ, and two others.
const THREADS: usize = 4;

/// The descriptors that it needs.
const DESCRIPTORS: usize = 24;

/// Why something was not done.
pub(super) enum NotDone {
    /// With the reason.
    Failed(String),
    /// The run was requested to stop.
    StopRequested,
}

impl NotDone {
    /// Return the end of a run whose worker was not started.
    pub(super) fn ending(self) -> Ending {
        Ending::NotStarted(match self {
            Self::Failed(reason) => reason,
            Self::StopRequested => STOPPED_BEFORE_START.to_owned(),
        })
    }
}

/// Whether an error says that the system lacks something that it may have later.
fn is_shortage(error: &anyhow::Error) -> bool {
    let of_system = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    let shortages = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    of_system.into_iter().any(|error| shortages.contains(&error))
}

/// Try again until there is no shortage, the timeout is over, or the run is requested to stop. `what` is for the complaint:
/// "its worker cannot be started".
pub(super) fn retry<T>(
    task: &RunnerTask,
    signals: &mut Signals,
    what: &str,
    timeout: Option<Duration>,
    attempt: impl FnMut() -> anyhow::Result<T>,
) -> Result<T, NotDone> {
    retry_if(is_shortage, task, signals, what, timeout, attempt)
}

/// Try again until it succeeds, whatever prevents it, the timeout is over, or the run is requested to stop.
pub(super) fn retry_always<T>(
    task: &RunnerTask,
    signals: &mut Signals,
    what: &str,
    timeout: Duration,
    attempt: impl FnMut() -> anyhow::Result<T>,
) -> Result<T, NotDone> {
    retry_if(|_| true, task, signals, what, Some(timeout), attempt)
}

fn retry_if<T>(
    is_transient: impl Fn(&anyhow::Error) -> bool,
    task: &RunnerTask,
    signals: &mut Signals,
    what: &str,
    timeout: Option<Duration>,
    mut attempt: impl FnMut() -> anyhow::Result<T>,
) -> Result<T, NotDone> {
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut pause = FIRST_PAUSE;
    loop {
        if signals.take().contains(&Signal::Terminate) {
            return Err(NotDone::StopRequested);
        }
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let text = with_causes(error.as_ref());
        if !is_transient(&error) {
            return Err(NotDone::Failed(text));
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            let seconds = timeout.unwrap_or_default().as_secs();
            return Err(NotDone::Failed(format!("{text}; tried for {seconds} s")));
        }
        if pause == FIRST_PAUSE {
            task.complain(&format!("{what}: {text}; trying again"));
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if self::pause(signals, left.map_or(pause, |left| left.min(pause))) {
            return Err(NotDone::StopRequested);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Wait for a time, or until the run is requested to stop. Return whether it is.
pub(super) fn pause(signals: &mut Signals, length: Duration) -> bool {
    if wait(&[signals.as_fd()], Some(Instant::now() + length)).is_err() {
        // In a shortage of descriptors.
        thread::sleep(length);
    }
    signals.take().contains(&Signal::Terminate)
}

/// Check that there are threads and descriptors for the next step. ZeroMQ ends the process where it gets none.
///
/// # Errors
/// When the system lacks them.
pub(super) fn check_capacity() -> io::Result<()> {
    let descriptors = (0..DESCRIPTORS).map(|_| File::open("/dev/null")).collect::<io::Result<Vec<_>>>();
    let mut releases = Vec::new();
    let mut start = || {
        let (release, released) = mpsc::channel::<()>();
        releases.push(release);
        thread::Builder::new().spawn(move || released.recv().is_ok())
    };
    let threads: Vec<_> = (0..THREADS).map(|_| start()).collect();
    drop(releases);
    let mut result = descriptors.map(|_| ());
    for thread in threads {
        match thread {
            // A thread that has ended no longer counts.
            Ok(thread) => drop(thread.join()),
            Err(error) => result = Err(error),
        }
    }
    result
}
