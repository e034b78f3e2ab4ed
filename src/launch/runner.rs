//! `nowcast runner`: one run, from its claim to the record of its exit.
//!
//! It needs no manager, and continues when the process that started it exits. It never stops a process that a worker
//! left running in the background, and never waits for the reader of its output.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;

use super::children::Children;
use super::exit_record::ExitRecord;
use super::follow::Follower;
use super::program::{end_of_remote_run, end_of_run};
use super::task::{Process, RunnerTask, complain};
use super::worker_process::{start, wait_for_worker};
use crate::failpoint;
use crate::signals::Signals;
use nowcast_core::Ending;

/// Exit status when the run's folder cannot be written and nothing was started: `EX_CANTCREAT` of sysexits.h.
pub const CANNOT_CLAIM: u8 = 73;

/// Exit status when the worker was started and its exit could not be seen or recorded: `EX_IOERR` of sysexits.h.
pub const END_LOST: u8 = 74;

/// The grace period of a worker between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(10);

/// Exit status when another runner has or had the run: `EX_TEMPFAIL` of sysexits.h.
pub const ALREADY_CLAIMED: u8 = 75;

/// The pause before the record of an exit is written again.
const WRITE_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Run a task to its end and return the exit status: 0 when the exit of the run is on record.
#[must_use]
pub fn run(task: &RunnerTask) -> u8 {
    let folder = &task.folder;
    let claim = || -> io::Result<Option<Signals>> {
        // Installed before the claim: a runner with a claim must not die of SIGTERM.
        let signals = Signals::install()?;
        failpoint::pass("runner: before claim");
        let is_ours = if task.is_adoption { folder.adopt()? } else { folder.claim()? };
        Ok(is_ours.then_some(signals))
    };
    let mut signals = match claim() {
        Ok(Some(signals)) => signals,
        Ok(None) => return ALREADY_CLAIMED,
        Err(error) => {
            complain(&format!("run {}: the worker is not started: {error}", task.run));
            return CANNOT_CLAIM;
        }
    };
    failpoint::pass("runner: claimed");
    let mut copy = None;
    let ended = if task.is_adoption {
        follow_adopted(task, &mut signals).map(|ending| end_of_remote_run(folder, ending))
    } else {
        match start(task, &mut copy) {
            Ok((children, worker)) => match &task.remote {
                Some(remote) => {
                    let follower = Follower::new(task, remote, children, Some(worker));
                    follower.follow_to_end(&mut signals).map(|ending| end_of_remote_run(folder, ending))
                }
                None => wait_for_worker(children, worker, &mut signals, task.grace)
                    .map(|ending| end_of_run(folder, ending)),
            },
            Err(error) => Ok(Ending::NotStarted(error.to_string())),
        }
    };
    let ending = match ended {
        Ok(ending) => ending,
        Err(error) => {
            // Without a record, a manager that reads the folder watches the worker itself.
            complain(&format!("run {}: the exit of its worker cannot be seen: {error}", task.run));
            return END_LOST;
        }
    };
    failpoint::pass("runner: worker ended");
    let status = record(task, &ExitRecord::now(&ending));
    failpoint::pass("runner: exit written");
    if let Some(copy) = copy {
        copy.finish();
    }
    status
}

/// Follow a remote run that this runner has adopted.
fn follow_adopted(task: &RunnerTask, signals: &mut Signals) -> io::Result<Ending> {
    let Some(remote) = task.folder.remote_commands() else { return Ok(Ending::Unknown) };
    let mut children = Children::new()?;
    let launcher = task.folder.launcher();
    let watched = launcher.and_then(|launcher| Some((launcher.raw()?, launcher)));
    let launcher = match watched {
        Some((pid, launcher)) => children.watch(Process::Worker, pid, || launcher.is_alive())?.then_some(pid),
        None => None,
    };
    if launcher.is_none() && remote.ask.is_none() {
        return Ok(Ending::Unknown);
    }
    Follower::new(task, &remote, children, launcher).follow_to_end(signals)
}

/// Record how the run ended, retrying until there is space.
fn record(task: &RunnerTask, exit: &ExitRecord) -> u8 {
    let path = task.folder.path().display();
    let mut tries = 0_u32;
    loop {
        match task.folder.write_exit(exit) {
            Ok(()) => return 0,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                complain(&format!("run {}: its exit is lost: {path} was removed", task.run));
                return END_LOST;
            }
            Err(error) => {
                if tries == 0 {
                    let help = "free some space; retrying every second";
                    complain(&format!(
                        "run {}: its exit cannot be recorded in {path}: {error}; {help}",
                        task.run
                    ));
                }
                tries = tries.saturating_add(1);
                thread::sleep(WRITE_RETRY_INTERVAL);
            }
        }
    }
}
