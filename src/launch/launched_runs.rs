//! [`LaunchedRuns`]: the runs that have not ended, including those that an earlier manager started.
//!
//! The folder of a run decides its state, and it is read again whenever a process exits. So a run starts once
//! whatever dies in between, and every later manager learns how it ended.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{self, Path, PathBuf};
use std::time::Instant;

use super::claim_marks::ClaimMarks;
use super::launch_command::LaunchCommand;
use super::launched_run::{LaunchedRun, Watching};
use super::refused_runs::RefusedRuns;
use super::run_folder::RunFolder;
use super::watched_processes::WatchedProcesses;
use crate::open_files;
use nowcast_core::{Ending, RunId};
use pylogging::Logger;

/// The result of [`LaunchedRuns::start`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// The run is open; [`LaunchedRuns::collect_ended`] will return its end.
    NotEnded,
    /// The run has ended already, perhaps under an earlier manager. [`LaunchedRuns::collect_ended`] will not return it.
    Ended(Ending),
}

/// The open runs, by their numbers.
#[derive(Debug)]
pub struct LaunchedRuns {
    pub(super) nowcast_binary: PathBuf,
    root: PathBuf,
    pub(super) marks: ClaimMarks,
    pub(super) processes: WatchedProcesses<RunId>,
    pub(super) open: HashMap<RunId, LaunchedRun>,
    /// The runs that are not watched.
    pub(super) refused: RefusedRuns<RunId>,
    /// When the remote runs were last checked for lost contact.
    pub(super) contacts_checked: Option<Instant>,
    /// The limit of open files of workers, if this process has a higher one.
    pub(super) open_files: Option<u64>,
    pub(super) log: Logger,
}

impl LaunchedRuns {
    /// Return a registry without runs. The runs' folders are made below `root`.
    ///
    /// # Errors
    /// When `root` cannot be created, or the operating system has no descriptors left.
    pub fn new(nowcast_binary: PathBuf, root: PathBuf) -> io::Result<Self> {
        // Absolute: runners and workers keep the path, and a later manager may have another working directory.
        let root = path::absolute(root)?;
        fs::create_dir_all(&root).map_err(|error| {
            let text = format!("the runs folder {} cannot be created: {error}", root.display());
            io::Error::new(error.kind(), text)
        })?;
        let log = Logger::new("runs");
        let marks = ClaimMarks::beside(&root);
        Ok(Self {
            nowcast_binary,
            root,
            marks,
            processes: WatchedProcesses::new()?,
            open: HashMap::new(),
            refused: RefusedRuns::default(),
            contacts_checked: None,
            open_files: None,
            log,
        })
    }

    /// Raise the limit of open files of this process, which holds one descriptor for each open run. Workers keep theirs.
    pub fn raise_open_files(&mut self) {
        match open_files::raise_limit() {
            Ok(previous) => self.open_files = previous,
            Err(error) => {
                self.log.warning(format_args!("the limit of open files cannot be raised: {error}"));
            }
        }
    }

    /// The folder that holds the runs' folders.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Start a run, or adopt it if it has started already. Any number of calls, by any manager, start it once.
    ///
    /// `folder` is below the runs folder. If it says that the run has ended, that end is returned; if the run is
    /// open, it is watched; else a runner is started, with `environment` added to this process's variables. The
    /// worker gets the run's number (`8812`). If `command` is an error, the run
    /// may be adopted but is not started, and the error is the reason.
    ///
    /// A start that the operating system refuses is tried again; see [`LaunchedRuns::retry_due`].
    pub fn start(
        &mut self,
        run: RunId,
        folder: &str,
        command: Result<impl Into<LaunchCommand>, String>,
        environment: &[(String, OsString)],
    ) -> Started {
        if self.open.contains_key(&run) {
            return Started::NotEnded;
        }
        let folder = RunFolder::new(self.root.join(folder), run.0.to_string())
            .with_claim_mark(self.marks.path_of(run));
        let mut launched = LaunchedRun::new(folder, command.map(Into::into), environment.to_vec());
        if let Some(ending) = self.reconcile(run, &mut launched, None) {
            return Started::Ended(ending);
        }
        self.open.insert(run, launched);
        Started::NotEnded
    }

    /// Withhold environment variables of this process from all workers.
    pub fn withhold(&mut self, variables: &[String]) {
        self.processes.withhold(variables);
    }

    /// Remove the claim mark of a run whose end is in the journal: it will not be started again.
    pub fn remove_claim_mark(&self, run: RunId) {
        self.marks.remove(run);
    }

    /// Remove the claim marks that an earlier manager left for runs that are no longer open.
    pub fn retain_marks(&self, open: impl IntoIterator<Item = RunId>) {
        self.marks.retain(&open.into_iter().collect());
    }

    /// Return when the start or the watch of unwatched runs is due to be tried again. Overdue kills and lost contact need a call of
    /// [`LaunchedRuns::collect_ended`] each second, too.
    #[must_use]
    pub fn retry_due(&self) -> Option<Instant> {
        self.refused.due()
    }

    /// Handle the exits of processes, starts to try again, overdue kills and lost contact. Return the runs that have ended
    /// since the last call.
    ///
    /// # Errors
    /// When the operating system cannot report which processes exited.
    pub fn collect_ended(&mut self) -> io::Result<Vec<(RunId, Ending)>> {
        let mut ended = Vec::new();
        for (run, process_exit) in self.processes.reap()? {
            let Some(mut launched) = self.open.remove(&run) else { continue };
            match self.process_exited(run, &mut launched, &process_exit) {
                Some(ending) => ended.push((run, ending)),
                None => {
                    self.open.insert(run, launched);
                }
            }
        }
        let now = Instant::now();
        ended.extend(self.retry_refused(now));
        let is_grace_over = |launched: &LaunchedRun| launched.kill_at.is_some_and(|kill_at| kill_at <= now);
        let to_kill: Vec<RunId> =
            self.open.iter().filter(|(_, launched)| is_grace_over(launched)).map(|(run, _)| *run).collect();
        for run in to_kill {
            self.request_stop(run);
        }
        self.log_lost_contacts(now);
        Ok(ended)
    }

    /// Start or adopt the refused runs that are due; return those that have ended.
    fn retry_refused(&mut self, now: Instant) -> Vec<(RunId, Ending)> {
        let is_due = self.refused.due().is_some_and(|due| due <= now);
        let mut ended = Vec::new();
        for run in self.refused.take_due(now) {
            let Some(mut launched) = self.open.remove(&run) else { continue };
            match self.reconcile(run, &mut launched, None) {
                Some(ending) => ended.push((run, ending)),
                None => {
                    self.open.insert(run, launched);
                }
            }
        }
        let attempt = self.refused.attempted();
        if attempt.is_some_and(|run| !self.open.contains_key(&run) || is_due && self.is_started(run)) {
            self.refused.end_shortage(now);
            self.log.warning("runs can be started and watched again");
        }
        ended
    }

    /// Whether an open run has a runner that has claimed it: until then it may be refused what it needs.
    fn is_started(&self, run: RunId) -> bool {
        self.open.get(&run).is_none_or(|launched| match launched.watching {
            Watching::Nothing => false,
            Watching::StartedRunner { process, .. } => launched.folder.is_claimed_by(process),
            Watching::Runner | Watching::Worker(_) => true,
        })
    }

    /// Request a run to stop: SIGTERM to the worker's process group, SIGKILL after the grace period or at the
    /// second request.
    pub fn request_stop(&mut self, run: RunId) {
        let Some(mut launched) = self.open.remove(&run) else { return };
        launched.request_stop(run, &self.processes);
        self.open.insert(run, launched);
    }

    /// Request a run to stop unless an earlier manager has: a second request would cut the grace period short.
    pub fn ensure_stop_requested(&mut self, run: RunId) {
        let Some(launched) = self.open.get_mut(&run) else { return };
        launched.stop_requested = launched.folder.time_since_stop_request().is_some()
            && !matches!(launched.watching, Watching::Worker(_));
        if launched.stop_requested {
            launched.expect_end();
        } else {
            self.request_stop(run);
        }
    }
}

impl AsRawFd for LaunchedRuns {
    fn as_raw_fd(&self) -> RawFd {
        self.processes.as_raw_fd()
    }
}
