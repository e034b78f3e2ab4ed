//! `nowcast runner`: one run, from its claim to the record of its exit.
//!
//! It needs no manager, and continues when the process that started it exits. It never stops a process that a worker
//! left running in the background, and never waits for the reader of its output.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;

use super::exec_run;
use super::exit_record::ExitRecord;
use super::follow::Follower;
use super::program::end_of_remote_run;
use super::run_output::RunOutput;
use super::shortage::check_capacity;
use super::start;
use super::task::{Process, RunnerTask};
use super::watched_processes::WatchedProcesses;
use super::worker_process::{start_worker, wait_for_worker};
use crate::failpoint;
use crate::signals::Signals;
use nowcast_core::Ending;

/// Exit status when the system has no process, thread or descriptor, and nothing was started: `EX_OSERR` of sysexits.h.
pub const NO_CAPACITY: u8 = 71;

/// Exit status when the run's folder cannot be written and nothing was started: `EX_CANTCREAT` of sysexits.h.
pub const CANNOT_CLAIM: u8 = 73;

/// Exit status when the worker was started and its exit could not be seen or recorded: `EX_IOERR` of sysexits.h.
pub const END_LOST: u8 = 74;

/// The grace period of a worker between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(10);

/// How long the start of a worker is tried again while the system has no process, memory or descriptor for it.
pub const START_TIMEOUT: Duration = Duration::from_secs(600);

/// Exit status when another runner has or had the run: `EX_TEMPFAIL` of sysexits.h.
pub const ALREADY_CLAIMED: u8 = 75;

/// The pause before the record of an exit is written again.
const WRITE_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Run a task to its end and return the exit status: 0 when the exit of the run is on record.
#[must_use]
pub fn run(task: &RunnerTask) -> u8 {
    let folder = &task.folder;
    // The manager logs it, once for all runs.
    if check_capacity().is_err() {
        return NO_CAPACITY;
    }
    let claim = || -> io::Result<Option<(Signals, File)>> {
        // Before the claim: afterwards, a signal must not end the runner.
        let signals = Signals::install()?;
        // A descriptor for the record of the exit.
        let spare = File::open("/dev/null")?;
        failpoint::pass("runner: before claim");
        let is_ours = if task.is_adoption { folder.adopt()? } else { folder.claim()? };
        Ok(is_ours.then_some((signals, spare)))
    };
    let (mut signals, spare) = match claim() {
        Ok(Some(ready)) => ready,
        Ok(None) => return ALREADY_CLAIMED,
        Err(error) => {
            task.complain(&format!("the worker is not started: {error}"));
            return CANNOT_CLAIM;
        }
    };
    failpoint::pass("runner: claimed");
    let mut output = RunOutput::of(task);
    let ending = match run_to_end(task, &mut signals, &mut output) {
        Ok(ending) => ending,
        Err(error) => {
            // Without a record, a manager that reads the folder watches the worker itself.
            task.complain(&format!("the exit of its worker cannot be seen: {error}"));
            return END_LOST;
        }
    };
    start::explain_end(task, &ending, &output);
    drop(spare);
    let status = write_exit_record(task, &ExitRecord::now(&ending));
    failpoint::pass("runner: exit written");
    output.finish_copy();
    status
}

/// Start the worker, or adopt it, and return how the run ended.
fn run_to_end(task: &RunnerTask, signals: &mut Signals, output: &mut RunOutput) -> io::Result<Ending> {
    let folder = &task.folder;
    if task.is_adoption {
        return match folder.program_end()? {
            Some(end) => Ok(exec_run::report_again(task, &end, signals, output)),
            None => follow_adopted(task, signals).map(|ending| end_of_remote_run(folder, ending)),
        };
    }
    if let Some(exec) = &task.exec {
        return exec_run::execute(task, exec, signals, output);
    }
    let started = start_worker(task, &[], signals, output);
    output.start_copy();
    let ending = match (started, &task.remote) {
        (Err(not_done), _) => not_done.ending(),
        (Ok((processes, worker)), Some(remote)) => {
            let follower = Follower::new(task, remote, processes, Some(worker));
            end_of_remote_run(folder, follower.follow_to_end(signals)?)
        }
        (Ok((processes, worker)), None) => wait_for_worker(processes, worker, signals, task.grace, &|| ())?.0,
    };
    failpoint::pass("runner: worker ended");
    Ok(ending)
}

/// Follow a remote run that this runner has adopted.
fn follow_adopted(task: &RunnerTask, signals: &mut Signals) -> io::Result<Ending> {
    let Some(remote) = task.folder.remote_commands()? else { return Ok(Ending::Unknown) };
    let mut processes = WatchedProcesses::new()?;
    let launcher = task.folder.live_process()?;
    let watched = launcher.and_then(|launcher| Some((launcher.raw()?, launcher)));
    let launcher = match watched {
        Some((pid, launcher)) => {
            processes.watch(Process::Worker, pid, || launcher.is_alive())?.then_some(pid)
        }
        None => None,
    };
    if launcher.is_none() && remote.ask.is_none() {
        return Ok(Ending::Unknown);
    }
    Follower::new(task, &remote, processes, launcher).follow_to_end(signals)
}

/// Write how the run ended into its folder, retrying until there is space.
fn write_exit_record(task: &RunnerTask, exit: &ExitRecord) -> u8 {
    let path = task.folder.path().display();
    let mut tries = 0_u32;
    loop {
        match task.folder.end(exit) {
            Ok(()) => return 0,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                task.complain(&format!("its exit is lost: {path} was removed"));
                return END_LOST;
            }
            Err(error) => {
                if tries == 0 {
                    let help = "free some space; retrying every second";
                    task.complain(&format!("its exit cannot be recorded in {path}: {error}; {help}"));
                }
                tries = tries.saturating_add(1);
                thread::sleep(WRITE_RETRY_INTERVAL);
            }
        }
    }
}
