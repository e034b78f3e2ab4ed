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
use super::exit_record::ExitRecord;
use super::folder_state::{Reading, RunFolderState};
use super::marks::Marks;
use super::on_host::LaunchCommand;
use super::open_run::{OpenRun, Watching};
use super::run_folder::RunFolder;
use super::runner;
use crate::failpoint;
use nowcast_core::Ending;
use pylogging::{Level, Logger};

/// How often a runner that died before it had claimed its run is started again.
pub(super) const STARTS_AGAIN: u32 = 3;

/// How long after a run could be neither started nor watched that is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a state that changes while it is looked at is read again.
const LOOKS: u32 = 10;

/// What became of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It runs; [`Runs::ended`] will tell its end.
    Running,
    /// It has ended already, under an earlier manager perhaps. [`Runs::ended`] will not tell it again.
    Ended(Ending),
}

/// The open runs, by their numbers.
#[derive(Debug)]
pub struct Runs<Key> {
    program: PathBuf,
    root: PathBuf,
    marks: Marks,
    pub(super) watched: Children<Key>,
    pub(super) open: HashMap<Key, OpenRun>,
    /// When those that nobody watches are tried again; `None` while there are none.
    again: Option<Instant>,
    /// When runs on other hosts were looked at last.
    pub(super) looked_at: Option<Instant>,
    pub(super) log: Logger,
}

impl<Key: Copy + Eq + Hash + Display> Runs<Key> {
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
        let marks = Marks::beside(&root);
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
    /// What the operating system does not allow now is tried again every second, as [`Runs::due`] says.
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

    /// When [`Runs::ended`] has something to do though no process has ended.
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

    /// Tells a run to end: SIGTERM for the worker and all in its process group, SIGKILL after a grace or at
    /// the second call.
    pub fn end(&mut self, run: Key) {
        let Some(mut open) = self.open.remove(&run) else { return };
        open.tell(run, &self.watched);
        self.open.insert(run, open);
    }

    /// The same for a run that a manager before has told to end, perhaps: a runner that knows is not told
    /// a second time, which would cut the grace short.
    pub fn end_once(&mut self, run: Key) {
        let Some(open) = self.open.get_mut(&run) else { return };
        open.told_to_end = open.folder.told_ago().is_some() && !matches!(open.watching, Watching::Worker(_));
        if !open.told_to_end {
            self.end(run);
        }
    }

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
    fn go_on(&mut self, run: Key, open: &mut OpenRun, ending: &Ending) -> Option<Ending> {
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
    fn take_on(&mut self, run: Key, open: &mut OpenRun, died: Option<&Ending>) -> Option<Ending> {
        match self.look(run, open) {
            Ok(None) => {
                self.tell_again(run, open);
                None
            }
            Ok(Some(RunFolderState::Ended(ending))) => Some(ending),
            Ok(Some(RunFolderState::LeftOnHost)) => {
                self.take_over(run, open, died);
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
        if open.told_to_end {
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
                    self.tell_again(run, open);
                    None
                }
                Ok(Some(RunFolderState::Ended(ending))) => Some(ending),
                Ok(Some(RunFolderState::LeftOnHost)) => {
                    self.take_over(run, open, None);
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
    fn tell_again(&self, run: Key, open: &mut OpenRun) {
        if open.told_to_end {
            open.told_to_end = false;
            open.tell(run, &self.watched);
        }
    }

    pub(super) fn start_runner(&mut self, run: Key, open: &mut OpenRun, take_over: bool) -> io::Result<()> {
        let word = OsString::from;
        let mut argv = vec![self.program.clone().into_os_string(), word("runner"), word("--folder")];
        argv.extend([open.folder.path().into(), word("--run"), number(run).into()]);
        argv.extend([word("--mark"), self.marks.of(&number(run)).into()]);
        if take_over {
            argv.push(word("--take-over"));
        } else if let Ok(command) = &open.command {
            if let Some(on_host) = &command.on_host {
                argv.extend([word("--host"), serde_json::to_string(on_host)?.into()]);
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
}

impl<Key> AsRawFd for Runs<Key> {
    fn as_raw_fd(&self) -> RawFd {
        self.watched.as_raw_fd()
    }
}

/// Whether the same command will never start: it holds a null byte, or is too long.
fn is_for_good(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong)
}

pub(super) fn number(run: impl Display) -> String {
    run.to_string().trim_start_matches('#').to_owned()
}
