//! Each open run is watched: by the process that its end hangs on, its runner as a rule. A run that has neither runner
//! nor end is started.

use std::ffi::OsString;
use std::fmt::Display;
use std::hash::Hash;
use std::io;
use std::time::Instant;

use super::exit_record::ExitRecord;
use super::folder_state::{Reading, RunFolderState};
use super::open_run::{OpenRun, Watching};
use super::open_runs::{AGAIN, OpenRuns, number};
use super::runner;
use crate::failpoint;
use nowcast_core::Ending;
use pylogging::Level;

/// How often a runner that died before it had claimed its run is started again.
pub(super) const STARTS_AGAIN: u32 = 3;

/// How often a state that changes while it is looked at is read again.
const LOOKS: u32 = 10;

impl<Key: Copy + Eq + Hash + Display> OpenRuns<Key> {
    /// Reads a run's folder and watches the process that its end hangs on. Answers what the folder says
    /// when there is none.
    fn look(&mut self, run: Key, open: &mut OpenRun) -> io::Result<Option<RunFolderState>> {
        for _ in 0..LOOKS {
            let Reading { state, trouble, is_gone } = open.folder.state()?;
            if let Some(trouble) = trouble {
                let level = if is_gone { Level::CRITICAL } else { Level::WARNING };
                self.log.log(level, format_args!("run {}: {trouble}", number(run)));
            }
            let (process, watching) = match state {
                RunFolderState::Unclaimed | RunFolderState::LeftOnHost | RunFolderState::Ended(_) => {
                    return Ok(Some(state));
                }
                RunFolderState::Running { runner } => (runner, Watching::Claimant),
                RunFolderState::Orphan { worker } => (worker.clone(), Watching::Worker(worker)),
            };
            open.claimed = true;
            let Some(pid) = process.raw() else { continue };
            // If it ended just now, the folder says something else.
            if self.watched.watch(run, pid, || process.is_alive())? {
                open.watching = watching;
                return Ok(None);
            }
        }
        Err(io::Error::other(format!("{} says something else at every look", open.folder.path().display())))
    }

    /// The process that was watched has ended: how the run ended, or `None` if it goes on.
    pub(super) fn go_on(&mut self, run: Key, open: &mut OpenRun, ending: &Ending) -> Option<Ending> {
        let orphan = matches!(open.watching, Watching::Worker(_));
        if orphan && open.folder.exit().is_none() {
            // Only its parent could have been told, and that was its runner.
            return Some(Ending::Unknown);
        }
        open.claimed |=
            [0, runner::END_LOST, runner::CLAIMED].map(i32::from).map(Ending::Status).contains(ending);
        self.take_on(run, open, Some(ending))
    }

    /// Watches a run, or starts it if nobody has it; how it ended, if it has. `died` is how its runner ended
    /// just now.
    pub(super) fn take_on(&mut self, run: Key, open: &mut OpenRun, died: Option<&Ending>) -> Option<Ending> {
        match self.look(run, open) {
            Ok(None) => {
                self.repeat_stop_request(run, open);
                None
            }
            Ok(Some(RunFolderState::Ended(ending))) => Some(ending),
            Ok(Some(RunFolderState::LeftOnHost)) => {
                self.start_adopting_runner(run, open, died);
                None
            }
            Ok(Some(_)) => self.begin(run, open, died),
            Err(error) => {
                self.try_later(run, open, &error);
                None
            }
        }
    }

    /// Starts a run that nobody has.
    fn begin(&mut self, run: Key, open: &mut OpenRun, died: Option<&Ending>) -> Option<Ending> {
        if open.claimed {
            return Some(self.lost(run, &format!("{} is gone", open.folder.path().display())));
        }
        if open.stop_requested {
            return self.give_up(run, open, "it was told to end before it began".to_owned());
        }
        if let Err(reason) = &open.command {
            let reason = reason.clone();
            return self.give_up(run, open, reason);
        }
        if let Some(ending) = died {
            if *ending == Ending::Status(runner::CANNOT_CLAIM.into()) {
                let text = format!("{} cannot be written", open.folder.path().display());
                self.try_later(run, open, &text);
                return None;
            }
            if open.starts > STARTS_AGAIN {
                return self.give_up(run, open, format!("its runner {ending}"));
            }
            self.log.warning(format_args!("run {}: its runner {ending}; started again", number(run)));
        }
        match self.start_runner(run, open, false) {
            Ok(()) => None,
            Err(error) if is_for_good(&error) => self.give_up(run, open, error.to_string()),
            Err(error) => {
                self.try_later(run, open, &error);
                None
            }
        }
    }

    fn lost(&self, run: Key, why: &dyn Display) -> Ending {
        self.log.error(format_args!("run {}: it is not known how it ended: {why}", number(run)));
        Ending::Unknown
    }

    /// Claims a run itself, so that nobody ever starts it. `None` if somebody has just done so.
    fn give_up(&mut self, run: Key, open: &mut OpenRun, reason: String) -> Option<Ending> {
        match open.folder.claim() {
            Ok(true) => {
                let ending = Ending::NotStarted(reason);
                // The claim alone keeps it from being started, if not from being told as unknown later.
                let _ = open.folder.write_exit(&ExitRecord::now(&ending));
                Some(ending)
            }
            Err(error) => Some(Ending::NotStarted(format!("{reason}; {error}"))),
            Ok(false) => match self.look(run, open) {
                Ok(None) => {
                    self.repeat_stop_request(run, open);
                    None
                }
                Ok(Some(RunFolderState::Ended(ending))) => Some(ending),
                Ok(Some(RunFolderState::LeftOnHost)) => {
                    self.start_adopting_runner(run, open, None);
                    None
                }
                Ok(Some(_)) => Some(self.lost(run, &"its claim is gone")),
                Err(error) => {
                    self.try_later(run, open, &error);
                    None
                }
            },
        }
    }

    /// Who sees to the run now may not know that it was told to end.
    fn repeat_stop_request(&self, run: Key, open: &mut OpenRun) {
        if open.stop_requested {
            open.stop_requested = false;
            open.request_stop(run, &self.watched);
        }
    }

    pub(super) fn start_runner(&mut self, run: Key, open: &mut OpenRun, is_adoption: bool) -> io::Result<()> {
        let word = OsString::from;
        let mut argv = vec![self.program.clone().into_os_string(), word("runner"), word("--folder")];
        argv.extend([open.folder.path().into(), word("--run"), number(run).into()]);
        argv.extend([word("--mark"), self.marks.of(&number(run)).into()]);
        if is_adoption {
            argv.push(word("--adopt"));
        } else if let Ok(command) = &open.command {
            if let Some(remote) = &command.remote {
                argv.extend([word("--remote"), serde_json::to_string(remote)?.into()]);
            }
            argv.push(word("--"));
            argv.extend(command.argv.iter().map(OsString::from));
        }
        self.watched.start(run, &argv, &open.environment)?;
        failpoint::pass("manager: runner started");
        open.starts += 1;
        open.watching = Watching::OurRunner;
        Ok(())
    }

    /// Nothing is known of a run that could not be looked at, and one that could not be started is not lost.
    pub(super) fn try_later(&mut self, run: Key, open: &mut OpenRun, error: &dyn Display) {
        open.watching = Watching::Nobody;
        if self.again.is_none() {
            self.log.critical(format_args!(
                "run {} cannot be started or watched, which is tried again every second, also for all others: {error}",
                number(run)
            ));
            self.again = Some(Instant::now() + AGAIN);
        }
    }
}

/// Whether the same command will never start: it holds a null byte, or is too long.
fn is_for_good(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong)
}
