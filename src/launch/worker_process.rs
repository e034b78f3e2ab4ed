//! The process of a worker on this machine, or of the command that launches it on another one: its start, and its end.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal as UnixSignal, kill_process_group};

use super::launch_command::RUN_TAG;
use super::run_output::RunOutput;
use super::shortage::{self, NotDone};
use super::start;
use super::task::{Process, RunnerTask, wait};
use super::watched_processes::WatchedProcesses;
use crate::failpoint;
use crate::process::{ProcessIdentity, RUN_FOLDER};
use crate::signals::Signals;
use nowcast_core::message::RUN_ID;
use nowcast_core::{Ending, Signal};

/// Start the worker with these variables and record its process. Try again while the system has no process, memory or
/// descriptor for it.
pub(super) fn start_worker(
    task: &RunnerTask,
    environment: &[(String, OsString)],
    signals: &mut Signals,
    output: &RunOutput,
) -> Result<(WatchedProcesses<Process>, Pid), NotDone> {
    let mut environment = environment.to_vec();
    environment.push((RUN_ID.to_owned(), task.run.clone().into()));
    environment.push((RUN_FOLDER.to_owned(), task.folder.path().as_os_str().to_owned()));
    if task.remote.is_some() {
        environment.push((RUN_TAG.to_owned(), task.run_tag().into()));
    }
    let attempt = || -> anyhow::Result<_> {
        if let Some(remote) = &task.remote {
            task.folder.write_remote_commands(remote)?;
        }
        let log = output.open()?;
        let errors = log.try_clone()?;
        failpoint::pass("runner: output opened");
        let mut processes = WatchedProcesses::new()?;
        let worker = start::with_settings(&task.start, || {
            let streams = (log.into(), errors.into());
            let folder = task.start.folder.as_deref();
            processes.start_in(folder, Process::Worker, &task.argv, &environment, streams)
        })?;
        Ok((processes, worker))
    };
    let what = "its worker cannot be started";
    let (processes, worker) = shortage::retry(task, signals, what, Some(task.start_timeout), attempt)?;
    failpoint::pass("runner: worker started");
    let written = ProcessIdentity::of(worker.as_raw_nonzero().get())
        .and_then(|process| task.folder.write_process(&process));
    if let Err(error) = written {
        // The record is needed only if this runner is killed, and the worker can be found without it.
        task.complain(&format!("its worker's process cannot be recorded: {error}"));
    }
    failpoint::pass("runner: process written");
    Ok((processes, worker))
}

/// Wait until the worker exits; return how, and whether it was requested to stop, about which `on_stop` is told. SIGTERM is
/// passed on to the worker's process group, which is killed after the grace period or at a second SIGTERM; SIGINT and
/// SIGHUP are ignored.
pub(super) fn wait_for_worker(
    mut processes: WatchedProcesses<Process>,
    worker: Pid,
    signals: &mut Signals,
    grace: Duration,
    on_stop: &dyn Fn(),
) -> io::Result<(Ending, bool)> {
    let mut stop_requested = false;
    let mut kill_at: Option<Instant> = None;
    loop {
        let ended = processes.reap()?.pop();
        // Also after the end: a runner that was stopped may find both at once.
        let is_terminated = signals.take().contains(&Signal::Terminate);
        if is_terminated {
            on_stop();
        }
        if let Some((_, ending)) = ended {
            return Ok((ending, stop_requested || is_terminated));
        }
        // The worker is not reaped yet, so the number still belongs to its group. A group that has only zombies
        // left is not an error.
        if is_terminated && stop_requested {
            kill_at = Some(Instant::now());
        } else if is_terminated {
            stop_requested = true;
            let _ = kill_process_group(worker, UnixSignal::TERM);
            // A grace period that overflows the clock never ends.
            kill_at = Instant::now().checked_add(grace);
        }
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            let _ = kill_process_group(worker, UnixSignal::KILL);
            kill_at = None;
        }
        wait(&[processes.as_fd(), signals.as_fd()], kill_at)?;
    }
}
