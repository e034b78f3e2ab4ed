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
use std::path::{self, PathBuf};

use rustix::process::{Signal, kill_process_group};

use super::children::{Children, Environment};
use super::process::ProcessIdentity;
use super::run_folder::{ExitRecord, Reading, RunFolder, RunFolderState};
use super::runner;
use crate::core::Ending;
use crate::logging::Logger;

/// How often a runner that died before it had claimed its run is started again.
const STARTS_AGAIN: u32 = 3;

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
    watched: Children<Key>,
    open: HashMap<Key, OpenRun>,
    log: Logger,
}

#[derive(Debug)]
struct OpenRun {
    folder: RunFolder,
    argv: Vec<String>,
    environment: Environment,
    /// How often a runner was started.
    starts: u32,
    watching: Watching,
    told_to_end: bool,
}

/// Whose end is waited for.
#[derive(Debug)]
enum Watching {
    /// A runner that was started here. It may die before it has claimed the run.
    OurRunner,
    /// A runner that has the run, whoever started it.
    Claimant,
    /// The worker, as its runner is dead.
    Worker(ProcessIdentity),
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
        Ok(Self { program, root, watched: Children::new()?, open: HashMap::new(), log })
    }

    /// Removes the folders of days before `date`, but for those of the runs in `open` (`2026-03-14/8812`);
    /// answers what could not be removed.
    #[must_use]
    pub fn remove_before(&self, date: jiff::civil::Date, open: &[&str]) -> Vec<io::Error> {
        let mut errors = Vec::new();
        for day in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let name = day.file_name().to_string_lossy().into_owned();
            let is_old = name.parse::<jiff::civil::Date>().is_ok_and(|day| day < date);
            if is_old && !open.iter().any(|folder| folder.starts_with(&name)) {
                errors.extend(fs::remove_dir_all(day.path()).err());
            }
        }
        errors
    }

    /// Sees to it that a run is started once, however often this is called and whichever manager calls it:
    /// if its folder (below the runs folder) says that it ended, that is answered; if it runs, its end is
    /// waited for; else a runner is started, with these environment variables beside our own. A run whose
    /// key has a number sign in front (`#8812`) is known to its worker without.
    ///
    /// # Errors
    /// When the runner cannot be started or the folder cannot be read; then nothing is watched.
    pub fn start(
        &mut self,
        run: Key,
        folder: &str,
        argv: &[String],
        environment: &[(String, OsString)],
    ) -> io::Result<Started> {
        if self.open.contains_key(&run) {
            return Ok(Started::Running);
        }
        let mut open = OpenRun {
            folder: RunFolder::new(self.root.join(folder), number(run)),
            argv: argv.to_vec(),
            environment: environment.to_vec(),
            starts: 0,
            watching: Watching::Claimant,
            told_to_end: false,
        };
        match self.look(run, &mut open)? {
            Some(RunFolderState::Ended(ending)) => return Ok(Started::Ended(ending)),
            Some(_) => self.start_runner(run, &mut open)?,
            None => {}
        }
        self.open.insert(run, open);
        Ok(Started::Running)
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
        Ok(ended)
    }

    /// Tells a run to end: SIGTERM for the worker and all in its process group, SIGKILL after the runner's
    /// grace or at the second call. A worker without a runner gets SIGKILL at the second call only.
    pub fn end(&mut self, run: Key) {
        let Some(mut open) = self.open.remove(&run) else { return };
        self.tell(run, &mut open);
        self.open.insert(run, open);
    }

    fn tell(&self, run: Key, open: &mut OpenRun) {
        match &open.watching {
            Watching::OurRunner | Watching::Claimant => self.watched.signal(&run, Signal::TERM),
            Watching::Worker(worker) => {
                let signal = if open.told_to_end { Signal::KILL } else { Signal::TERM };
                // Alive, so the number is still that of its group.
                if let Some(group) = worker.raw().filter(|_| worker.is_alive()) {
                    let _ = kill_process_group(group, signal);
                }
            }
        }
        open.told_to_end = true;
    }

    /// Reads a run's folder and watches the process that its end hangs on. Answers what the folder says
    /// when there is none: unclaimed or ended.
    fn look(&mut self, run: Key, open: &mut OpenRun) -> io::Result<Option<RunFolderState>> {
        for _ in 0..LOOKS {
            let Reading { state, trouble } = open.folder.state()?;
            if let Some(trouble) = trouble {
                self.log.warning(format_args!("run {}: {trouble}", number(run)));
            }
            let (process, watching) = match state {
                RunFolderState::Unclaimed | RunFolderState::Ended(_) => return Ok(Some(state)),
                RunFolderState::Running { runner } => (runner, Watching::Claimant),
                RunFolderState::Orphan { worker } => (worker.clone(), Watching::Worker(worker)),
            };
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
        let ours = matches!(open.watching, Watching::OurRunner);
        if orphan && open.folder.exit().is_none() {
            // Only its parent could have been told, and that was its runner.
            return Some(Ending::Unknown);
        }
        match self.look(run, open) {
            Ok(None) => {
                self.tell_again(run, open);
                return None;
            }
            Ok(Some(RunFolderState::Ended(ending))) => return Some(ending),
            Ok(Some(_)) => {}
            Err(error) => return Some(self.lost(run, &error)),
        }
        let had_it = [0, runner::END_LOST, runner::CLAIMED].map(|status| Ending::Status(status.into()));
        if !ours || had_it.contains(ending) {
            // It was claimed, so its worker may have run.
            return Some(self.lost(run, &format!("{} is gone", open.folder.path().display())));
        }
        if open.told_to_end {
            return self.give_up(run, open, "it was told to end before it began".to_owned());
        }
        if open.starts > STARTS_AGAIN || *ending == Ending::Status(runner::CANNOT_CLAIM.into()) {
            return self.give_up(run, open, format!("its runner {ending}"));
        }
        self.log.warning(format_args!("run {}: its runner {ending}; started again", number(run)));
        match self.start_runner(run, open) {
            Ok(()) => None,
            Err(error) => self.give_up(run, open, format!("its runner {ending}, and then: {error}")),
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
                Ok(Some(_)) => Some(self.lost(run, &"its claim is gone")),
                Err(error) => Some(self.lost(run, &error)),
            },
        }
    }

    /// Who sees to the run now may not know that it was told to end.
    fn tell_again(&self, run: Key, open: &mut OpenRun) {
        if open.told_to_end {
            open.told_to_end = false;
            self.tell(run, open);
        }
    }

    fn start_runner(&mut self, run: Key, open: &mut OpenRun) -> io::Result<()> {
        let word = OsString::from;
        let mut argv = vec![self.program.clone().into_os_string(), word("runner"), word("--folder")];
        argv.extend([open.folder.path().into(), word("--run"), number(run).into(), word("--")]);
        argv.extend(open.argv.iter().map(OsString::from));
        self.watched.start(run, &argv, &open.environment)?;
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

fn number(run: impl Display) -> String {
    run.to_string().trim_start_matches('#').to_owned()
}
