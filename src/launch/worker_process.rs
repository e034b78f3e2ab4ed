//! The process of a worker on this machine, or of the command that launches it on another one: its start, and its end.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal as UnixSignal, kill_process_group};

use super::children::Children;
use super::launch_command::RUN_TAG;
use super::output::OutputCopy;
use super::task::{Process, RunnerTask, complain, wait};
use crate::failpoint;
use crate::process::{ProcessIdentity, RUN_FOLDER};
use crate::signals::Signals;
use nowcast_core::message::RUN_ID;
use nowcast_core::{Ending, Signal};

/// Start the worker and record its process.
pub(super) fn start(
    task: &RunnerTask,
    copy: &mut Option<OutputCopy>,
) -> io::Result<(Children<Process>, Pid)> {
    if let Some(remote) = &task.remote {
        task.folder.write_remote_commands(remote)?;
    }
    let path = task.folder.output_log();
    let log = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let errors = log.try_clone()?;
    failpoint::pass("runner: output opened");
    // Copying to standard output is best effort; the file is complete without it.
    *copy =
        io::stdout().as_fd().try_clone_to_owned().and_then(|stdout| OutputCopy::start(&path, stdout)).ok();
    let mut environment = vec![
        (RUN_ID.to_owned(), task.run.clone().into()),
        (RUN_FOLDER.to_owned(), task.folder.path().as_os_str().to_owned()),
    ];
    if task.remote.is_some() {
        environment.push((RUN_TAG.to_owned(), task.run_tag().into()));
    }
    let mut children = Children::new()?;
    let worker =
        children.start_writing_to(Process::Worker, &task.argv, &environment, log.into(), errors.into())?;
    failpoint::pass("runner: worker started");
    let written = ProcessIdentity::of(worker.as_raw_nonzero().get())
        .and_then(|process| task.folder.write_process(&process));
    if let Err(error) = written {
        // The record is needed only if this runner is killed, and the worker can be found without it.
        complain(&format!("run {}: its worker's process cannot be recorded: {error}", task.run));
    }
    failpoint::pass("runner: process written");
    Ok((children, worker))
}

/// Wait until the worker exits. SIGTERM is passed on to the worker's process group, which is killed after the grace
/// period or at a second SIGTERM; SIGINT and SIGHUP are ignored.
pub(super) fn wait_for_worker(
    mut children: Children<Process>,
    worker: Pid,
    signals: &mut Signals,
    grace: Duration,
) -> io::Result<Ending> {
    let mut stop_requested = false;
    let mut kill_at: Option<Instant> = None;
    loop {
        if let Some((_, ending)) = children.reap()?.pop() {
            return Ok(ending);
        }
        // The worker is not reaped yet, so the number still belongs to its group. A group that has only zombies
        // left is not an error.
        if signals.take().contains(&Signal::Terminate) {
            if stop_requested {
                kill_at = Some(Instant::now());
            } else {
                stop_requested = true;
                let _ = kill_process_group(worker, UnixSignal::TERM);
                // A grace period that overflows the clock never ends.
                kill_at = Instant::now().checked_add(grace);
            }
        }
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            let _ = kill_process_group(worker, UnixSignal::KILL);
            kill_at = None;
        }
        wait(&children, signals, kill_at)?;
    }
}
