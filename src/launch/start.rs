//! Starts a process with the settings of its worker, and tells of a memory limit that it probably exceeded.
//!
//! What this process itself has is as before when the start is over.

use std::fs;
use std::io::{self, Write};
use std::thread;

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use rustix::fs::Mode;
use rustix::process::{
    Resource, Rlimit, Signal, getpriority_process, getrlimit, setpriority_process, setrlimit, umask,
};

use super::run_output::RunOutput;
use super::task::RunnerTask;
use crate::config::{StartSettings, size};
use nowcast_core::Ending;

/// What programs, libraries and languages say when they get no memory.
const NO_MEMORY: [&str; 7] = [
    "MemoryError",
    "bad_alloc",
    "Cannot allocate memory",
    "Unable to allocate",
    "out of memory",
    "Out of memory",
    "would exceed memory limit",
];

/// The priorities of Linux.
const HIGHEST: i32 = -20;
const LOWEST: i32 = 19;

/// Start a process with these settings; its working folder is up to `start`.
pub(super) fn with_settings<T: Send>(
    settings: &StartSettings,
    start: impl FnOnce() -> io::Result<T> + Send,
) -> anyhow::Result<T> {
    if let Some(folder) = &settings.folder {
        let explain = || {
            format!("the working folder {folder} cannot be used; make it, or change `folder:` of the worker")
        };
        let found = fs::metadata(folder).with_context(explain)?;
        ensure!(
            found.is_dir(),
            "the working folder {folder} is not a folder; change `folder:` of the worker"
        );
    }
    // A child inherits these from its parent; only the soft limit can be raised again.
    let limit = getrlimit(Resource::Data);
    if let Some(lower) = settings.memory_limit {
        let lower = limit.maximum.map_or(lower, |maximum| lower.min(maximum));
        setrlimit(Resource::Data, Rlimit { current: Some(lower), ..limit })
            .map_err(io::Error::from)
            .context("the memory limit cannot be set")?;
    }
    let mask = settings.umask.map(|mask| umask(Mode::from_bits_truncate(mask)));
    let started = match settings.nice {
        None => start().map_err(anyhow::Error::from),
        Some(nice) => with_priority(nice, start),
    };
    mask.map(umask);
    if settings.memory_limit.is_some() {
        setrlimit(Resource::Data, limit).map_err(io::Error::from)?;
    }
    started
}

/// Start a process from a thread with this priority: it cannot be raised again.
fn with_priority<T: Send>(nice: i32, start: impl FnOnce() -> io::Result<T> + Send) -> anyhow::Result<T> {
    thread::scope(|scope| {
        let starting = move || -> anyhow::Result<T> {
            // To Linux, this is the priority of the thread. It is added to that of this process, as nice(1) does.
            let own = getpriority_process(None).map_err(io::Error::from)?;
            setpriority_process(None, (own + nice).clamp(HIGHEST, LOWEST))
                .map_err(io::Error::from)
                .with_context(|| {
                    format!(
                        "the priority `nice: {nice}` cannot be set; below that of the manager, only root may"
                    )
                })?;
            Ok(start()?)
        };
        let thread = thread::Builder::new().name("start".to_owned()).spawn_scoped(scope, starting)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread of the start panicked").into()))
    })
}

/// Write to the output of a failed run that its memory limit is probably the reason, if its processes or their last lines say so: the
/// system only refuses memory, and the program makes of it what it wants.
pub(super) fn explain_end(task: &RunnerTask, ending: &Ending, output: &RunOutput) {
    // A program that gets no memory ends by itself, and not by these.
    let is_stopped = [Signal::TERM, Signal::KILL, Signal::INT]
        .iter()
        .any(|signal| *ending == Ending::Killed(signal.as_raw()));
    let Some(limit) = task.start.memory_limit.filter(|_| !ending.is_success() && !is_stopped) else { return };
    // In kB, see getrusage(2).
    let most = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
    let most = u64::try_from(most).unwrap_or_default() << 10;
    let is_near = most > limit / 4 * 3;
    let says_so = || {
        let tail = task.folder.output_tail().unwrap_or_default();
        let mut last = tail.lines().rev().take(10);
        last.any(|line| NO_MEMORY.iter().any(|text| line.contains(text)))
    };
    if is_near || says_so() {
        let line = format!(
            "nowcast: probably over the worker's `memory limit: {}`; its largest process had {} in memory\n",
            size::text(limit),
            size::text(most)
        );
        // The end is on record without it, too.
        let _ = output.open().and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
