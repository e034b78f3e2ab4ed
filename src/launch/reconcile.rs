//! Watching each open run: adopt it, start it, or report how it ended.
//!
//! A run ends when the process that watches over it exits: normally its runner, and its worker when the runner has
//! died. A run that no runner has claimed gets one. It decides nothing about other runs.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::time::Instant;

use super::exit_record::{ExitRecord, STOPPED_BEFORE_START};
use super::folder_state::{FolderReading, RunFolderState};
use super::launch_command::ExecWorker;
use super::launched_run::{LaunchedRun, Watching};
use super::launched_runs::LaunchedRuns;
use super::runner;
use crate::failpoint;
use nowcast_core::{Ending, RunId};
use pylogging::Level;

/// How many times a runner that died before it claimed its run is started again; and the most runners that may die of the report
/// that they make for another one.
const MAX_RESTARTS: u32 = 3;

/// How many times a state that changes while it is read is read again.
const MAX_READS: u32 = 10;

impl LaunchedRuns {
    /// Read the state of a run from its folder and act on it: watch the run, start it if it is unclaimed, or return how it
    /// ended. `process_exit` is the exit of the watched process, if that caused the call.
    pub(super) fn reconcile(
        &mut self,
        run: RunId,
        launched: &mut LaunchedRun,
        process_exit: Option<&Ending>,
    ) -> Option<Ending> {
        match self.read_state_and_watch(run, launched) {
            // So is a new run.
            Ok(RunFolderState::Unclaimed) => self.start_unclaimed(run, launched, process_exit),
            Ok(RunFolderState::Running { .. } | RunFolderState::Orphan { .. }) => {
                self.repeat_stop_request(run, launched);
                None
            }
            Ok(RunFolderState::Ended(ending)) => Some(ending),
            Ok(RunFolderState::Unreported { program }) if launched.dead_adopters >= MAX_RESTARTS => {
                self.end_without_report(run, launched, &program);
                Some(program)
            }
            Ok(RunFolderState::RemoteOrphan | RunFolderState::Unreported { .. }) => {
                self.start_adopting_runner(run, launched, process_exit);
                None
            }
            Err(error) => {
                self.retry_later(run, launched, &error);
                None
            }
        }
    }

    /// Act on the exit of the watched process: return how the run ended, or `None` if it goes on.
    pub(super) fn process_exited(
        &mut self,
        run: RunId,
        launched: &mut LaunchedRun,
        process_exit: &Ending,
    ) -> Option<Ending> {
        let is_orphan = matches!(launched.watching, Watching::Worker(_));
        if is_orphan {
            match launched.folder.exit_record() {
                // Only the parent of a process learns its exit status, and that was the runner.
                Ok(None) => return Some(Ending::Unknown),
                Ok(Some(_)) => {}
                Err(error) => {
                    self.retry_later(run, launched, &error);
                    return None;
                }
            }
        }
        if *process_exit == Ending::Status(runner::NO_CAPACITY.into()) {
            launched.starts = 0;
            self.retry_later(
                run,
                launched,
                &"the system has no process, thread or descriptor for its runner",
            );
            return None;
        }
        if let Watching::StartedRunner { process, is_adoption: true } = launched.watching
            && *process_exit != Ending::Status(runner::END_LOST.into())
            && launched.folder.is_claimed_by(process)
        {
            launched.dead_adopters += 1;
        }
        launched.claim_seen |= [0, runner::END_LOST, runner::ALREADY_CLAIMED]
            .map(i32::from)
            .map(Ending::Status)
            .contains(process_exit);
        self.reconcile(run, launched, Some(process_exit))
    }

    /// Return the state of a run, from its folder. If a runner or a worker is alive, it is watched.
    fn read_state_and_watch(&mut self, run: RunId, launched: &mut LaunchedRun) -> io::Result<RunFolderState> {
        for _ in 0..MAX_READS {
            let FolderReading { state, problem, is_removed } = launched.folder.state()?;
            if let Some(problem) = problem {
                let level = if is_removed { Level::CRITICAL } else { Level::WARNING };
                self.log.log(level, format_args!("run {}: {problem}", run.0));
            }
            let (process, watching) = match &state {
                RunFolderState::Unclaimed
                | RunFolderState::RemoteOrphan
                | RunFolderState::Unreported { .. }
                | RunFolderState::Ended(_) => return Ok(state),
                RunFolderState::Running { runner } => (runner, Watching::Runner),
                RunFolderState::Orphan { worker } => (worker, Watching::Worker(worker.clone())),
            };
            launched.claim_seen = true;
            let Some(pid) = process.raw() else { continue };
            // If the process exited just now, the state of the folder has changed.
            if self.processes.watch(run, pid, || process.is_alive())? {
                launched.watching = watching;
                return Ok(state);
            }
        }
        Err(io::Error::other(format!("{} changes each time it is read", launched.folder.path().display())))
    }

    /// Start a runner for a run that has no claim. Return an ending if the run must not start or cannot.
    fn start_unclaimed(
        &mut self,
        run: RunId,
        launched: &mut LaunchedRun,
        process_exit: Option<&Ending>,
    ) -> Option<Ending> {
        if launched.claim_seen {
            let folder = launched.folder.path().display();
            self.log.error(format_args!("run {}: exit unknown: {folder} was removed", run.0));
            return Some(Ending::Unknown);
        }
        if launched.stop_requested {
            return self.abandon(run, launched, STOPPED_BEFORE_START.to_owned());
        }
        if let Err(reason) = &launched.command {
            let reason = reason.clone();
            return self.abandon(run, launched, reason);
        }
        if let Some(ending) = process_exit {
            if let Some(reason) = refusal(ending, launched) {
                self.retry_later(run, launched, &reason);
                return None;
            }
            if launched.starts > MAX_RESTARTS {
                return self.abandon(run, launched, format!("its runner {ending}"));
            }
            self.log.warning(format_args!("run {}: its runner {ending}; started again", run.0));
        }
        match self.start_runner(run, launched, false) {
            Ok(()) => None,
            Err(error) if is_permanent(&error) => self.abandon(run, launched, error.to_string()),
            Err(error) => {
                self.retry_later(run, launched, &error);
                None
            }
        }
    }

    /// Have another runner adopt a run whose runner has died: a remote run, since only the host can say whether it goes on,
    /// or one whose program has ended, so that its report is made.
    fn start_adopting_runner(
        &mut self,
        run: RunId,
        launched: &mut LaunchedRun,
        runner_exit: Option<&Ending>,
    ) {
        launched.claim_seen = true;
        if launched.stop_requested {
            // The new runner reads it from the folder.
            launched.folder.note_stop_request();
        }
        if let Some(reason) = runner_exit.and_then(|exit| refusal(exit, launched)) {
            self.retry_later(run, launched, &reason);
        } else if runner_exit.is_some() && launched.starts > MAX_RESTARTS {
            self.retry_later(run, launched, &"its runners exit at once");
        } else if let Err(error) = self.start_runner(run, launched, true) {
            self.retry_later(run, launched, &error);
        }
    }

    /// Record the end of a run whose runners exit before they have reported: something in the report may be the reason.
    fn end_without_report(&self, run: RunId, launched: &LaunchedRun, program: &Ending) {
        let run = run.0;
        self.log.error(format_args!("run {run}: no report; its runners exit before they have reported"));
        // Without the record, a later manager tries again. What the program has written for its report stays.
        let _ = launched.folder.write_exit(&ExitRecord::now(program));
    }

    /// Claim a run for this process so that it never starts. If a runner has claimed it meanwhile, adopt it.
    fn abandon(&mut self, run: RunId, launched: &mut LaunchedRun, reason: String) -> Option<Ending> {
        match launched.folder.claim() {
            Ok(true) => {
                let ending = Ending::NotStarted(reason);
                // Without the record, the claim still prevents a start, but a later manager finds the exit unknown.
                let _ = launched.folder.end(&ExitRecord::now(&ending));
                Some(ending)
            }
            Ok(false) => {
                launched.claim_seen = true;
                self.reconcile(run, launched, None)
            }
            Err(error) => Some(Ending::NotStarted(format!("{reason}; {error}"))),
        }
    }

    /// Start a runner that claims the run, or that adopts it from a runner that has died: `nowcast runner`, whose options give
    /// [`runner::run`] the same folder, claim mark and commands as a task.
    fn start_runner(&mut self, run: RunId, launched: &mut LaunchedRun, is_adoption: bool) -> io::Result<()> {
        let word = OsString::from;
        let mut argv = vec![self.nowcast_binary.clone().into_os_string(), word("runner"), word("--folder")];
        argv.extend([launched.folder.path().into(), word("--run"), run.0.to_string().into()]);
        argv.extend([word("--mark"), self.marks.path_of(run).into()]);
        argv.extend(
            self.open_files.iter().flat_map(|limit| [word("--open-files"), limit.to_string().into()]),
        );
        if is_adoption {
            argv.push(word("--adopt"));
        } else if let Ok(command) = &launched.command {
            if let Some(remote) = &command.remote {
                argv.extend([word("--remote"), serde_json::to_string(remote)?.into()]);
            }
            if let Some(ExecWorker { name, config }) = &command.exec {
                argv.extend([word("--exec"), name.into(), config.into()]);
            }
            if !command.start.is_default() {
                argv.extend([word("--start"), serde_json::to_string(&command.start)?.into()]);
            }
            argv.push(word("--"));
            argv.extend(command.argv.iter().map(OsString::from));
        }
        let process = self.processes.start(run, &argv, &launched.environment)?;
        failpoint::pass("manager: runner started");
        launched.starts += 1;
        launched.watching = Watching::StartedRunner { process, is_adoption };
        Ok(())
    }

    /// Repeat a stop request to the process that is watched now, which may not have received it.
    fn repeat_stop_request(&self, run: RunId, launched: &mut LaunchedRun) {
        if launched.stop_requested {
            launched.stop_requested = false;
            launched.request_stop(run, &self.processes);
        }
    }

    /// Try again later what the operating system refused: the run has neither ended nor failed to start.
    fn retry_later(&mut self, run: RunId, launched: &mut LaunchedRun, error: &dyn Display) {
        launched.watching = Watching::Nothing;
        if self.refused.add(run, Instant::now()) {
            self.log.critical(format_args!(
                "run {} cannot be started or watched: {error}; such runs are tried again until they can be",
                run.0
            ));
        }
    }
}

/// Return why a runner has left its run to the next one, if its exit status says so: then nothing is wrong with the run.
fn refusal(runner_exit: &Ending, launched: &LaunchedRun) -> Option<String> {
    let is = |status: u8| *runner_exit == Ending::Status(status.into());
    if is(runner::CANNOT_CLAIM) {
        return Some(format!("{} cannot be written", launched.folder.path().display()));
    }
    is(runner::ALREADY_CLAIMED).then(|| "another runner is adopting it".to_owned())
}

/// Whether the same command can never start: it holds a null byte, or is too long.
fn is_permanent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong)
}
