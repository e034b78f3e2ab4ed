//! The runs that are open, whoever started them: each has a runner, or had one.
//!
//! What a run's folder says is all that counts, and it is read anew whenever a process ends. So a run is
//! started once whatever dies in between, and its end is known to whichever manager asks.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::hash::Hash;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{self, Path, PathBuf};
use std::time::{Duration, Instant};

use super::children::Children;
use super::claim_marks::ClaimMarks;
use super::on_host::LaunchCommand;
use super::open_run::{OpenRun, Watching};
use super::run_folder::RunFolder;
use nowcast_core::Ending;
use pylogging::Logger;

/// How long after a run could be neither started nor watched that is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// What became of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It runs; [`OpenRuns::ended`] will tell its end.
    Running,
    /// It has ended already, under an earlier manager perhaps. [`OpenRuns::ended`] will not tell it again.
    Ended(Ending),
}

/// The open runs, by their numbers.
#[derive(Debug)]
pub struct OpenRuns<Key> {
    pub(super) program: PathBuf,
    root: PathBuf,
    pub(super) marks: ClaimMarks,
    pub(super) watched: Children<Key>,
    pub(super) open: HashMap<Key, OpenRun>,
    /// When those that nobody watches are tried again; `None` while there are none.
    pub(super) again: Option<Instant>,
    /// When runs on other hosts were looked at last.
    pub(super) looked_at: Option<Instant>,
    pub(super) log: Logger,
}

impl<Key: Copy + Eq + Hash + Display> OpenRuns<Key> {
    /// No runs yet. `program` is our own binary; the runs' folders are made below `root`.
    ///
    /// # Errors
    /// When `root` cannot be made, or the operating system has no descriptors left.
    pub fn new(program: PathBuf, root: PathBuf) -> io::Result<Self> {
        // Absolute: the runners and the workers keep it, and a later manager may stand elsewhere.
        let root = path::absolute(root)?;
        fs::create_dir_all(&root).map_err(|error| {
            let text = format!("the runs folder {} cannot be made: {error}", root.display());
            io::Error::new(error.kind(), text)
        })?;
        let log = Logger::new("runs");
        let marks = ClaimMarks::beside(&root);
        Ok(Self {
            program,
            root,
            marks,
            watched: Children::new()?,
            open: HashMap::new(),
            again: None,
            looked_at: None,
            log,
        })
    }

    /// The folder that the runs' folders are in.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Sees to it that a run is started once, however often this is called and whichever manager calls it:
    /// if its folder (below the runs folder) says that it ended, that is answered; if it runs, its end is
    /// waited for; else a runner is started, with these environment variables beside our own. A run whose
    /// key has a number sign in front (`#8812`) is known to its worker without. `command` may be the reason
    /// why there is no command line: then it is only not started.
    ///
    /// What the operating system does not allow now is tried again every second, as [`OpenRuns::due`] says.
    pub fn start(
        &mut self,
        run: Key,
        folder: &str,
        command: Result<impl Into<LaunchCommand>, String>,
        environment: &[(String, OsString)],
    ) -> Started {
        if self.open.contains_key(&run) {
            return Started::Running;
        }
        let folder = RunFolder::new(self.root.join(folder), number(run)).marked(self.marks.of(&number(run)));
        let mut open = OpenRun::new(folder, command.map(Into::into), environment.to_vec());
        if let Some(ending) = self.take_on(run, &mut open, None) {
            return Started::Ended(ending);
        }
        self.open.insert(run, open);
        Started::Running
    }

    /// The end of a run is kept: nobody will ask for it to be started any more.
    pub fn forget(&self, run: Key) {
        self.marks.remove(&number(run));
    }

    /// Forgets what a manager before has left of runs that are not open.
    pub fn keep_only(&self, open: impl IntoIterator<Item = Key>) {
        self.marks.keep_only(&open.into_iter().map(number).collect());
    }

    /// When [`OpenRuns::ended`] has something to do though no process has ended.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.again
    }

    /// The runs that have ended since the last call.
    ///
    /// # Errors
    /// When the operating system fails to say.
    pub fn ended(&mut self) -> io::Result<Vec<(Key, Ending)>> {
        let mut ended = Vec::new();
        for (run, ending) in self.watched.reap()? {
            let Some(mut open) = self.open.remove(&run) else { continue };
            match self.go_on(run, &mut open, &ending) {
                Some(ending) => ended.push((run, ending)),
                None => {
                    self.open.insert(run, open);
                }
            }
        }
        let now = Instant::now();
        if self.again.is_some_and(|again| again <= now) {
            ended.extend(self.try_again());
        }
        let is_over = |open: &OpenRun| open.kill_at.is_some_and(|kill_at| kill_at <= now);
        let over: Vec<Key> =
            self.open.iter().filter(|(_, open)| is_over(open)).map(|(run, _)| *run).collect();
        for run in over {
            self.end(run);
        }
        self.say_lost_contacts(now);
        Ok(ended)
    }

    fn try_again(&mut self) -> Vec<(Key, Ending)> {
        let is_left = |open: &OpenRun| matches!(open.watching, Watching::Nobody);
        let left: Vec<Key> =
            self.open.iter().filter(|(_, open)| is_left(open)).map(|(run, _)| *run).collect();
        let mut ended = Vec::new();
        for run in left {
            let Some(mut open) = self.open.remove(&run) else { continue };
            match self.take_on(run, &mut open, None) {
                Some(ending) => ended.push((run, ending)),
                None => {
                    self.open.insert(run, open);
                }
            }
        }
        if self.open.values().any(is_left) {
            self.again = Some(Instant::now() + AGAIN);
        } else {
            self.again = None;
            self.log.warning("runs can be started and watched again");
        }
        ended
    }

    /// Tells a run to end: SIGTERM for the worker and all in its process group, SIGKILL after a grace or at
    /// the second call.
    pub fn end(&mut self, run: Key) {
        let Some(mut open) = self.open.remove(&run) else { return };
        open.request_stop(run, &self.watched);
        self.open.insert(run, open);
    }

    /// The same for a run that a manager before has told to end, perhaps: a runner that knows is not told
    /// a second time, which would cut the grace short.
    pub fn end_once(&mut self, run: Key) {
        let Some(open) = self.open.get_mut(&run) else { return };
        open.stop_requested =
            open.folder.time_since_stop_request().is_some() && !matches!(open.watching, Watching::Worker(_));
        if !open.stop_requested {
            self.end(run);
        }
    }
}

impl<Key> AsRawFd for OpenRuns<Key> {
    fn as_raw_fd(&self) -> RawFd {
        self.watched.as_raw_fd()
    }
}

pub(super) fn number(run: impl Display) -> String {
    run.to_string().trim_start_matches('#').to_owned()
}
