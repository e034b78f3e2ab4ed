//! The files of one run: who has it, which process its worker is, what it wrote, how it ended.
//!
//! Each file but the output appears whole or not at all, whatever is killed meanwhile; no reader ever
//! changes one. A `.new` file that a killed process left is not looked at.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failpoint;
use crate::process::{ProcessIdentity, find_worker};
use nowcast_core::Ending;

pub(super) const CLAIM: &str = "claim";
pub(super) const PROCESS: &str = "process";
const EXIT: &str = "exit";
const TOLD: &str = "told";

/// The file that the worker's output and errors go to.
pub(super) const OUTPUT: &str = "output.log";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    run: String,
    /// A second name of the claim, which stays when the folder is removed.
    mark: Option<PathBuf>,
}

/// What a run's folder says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunFolderState {
    /// Nobody has taken it on.
    Unclaimed,
    /// A runner sees to it.
    Running {
        /// Its runner.
        runner: ProcessIdentity,
    },
    /// Its runner is dead, its worker lives.
    Orphan {
        /// Its worker.
        worker: ProcessIdentity,
    },
    /// Its runner is dead, and its worker was launched on another host, which is to be asked: another runner has to
    /// take it over.
    LeftOnHost,
    /// It ended. [`Ending::Unknown`] also stands for a run whose runner was killed after the claim and
    /// before the start: whether there ever was a worker cannot be told, so it is not started again.
    Ended(Ending),
}

/// A state, and what was wrong with the files it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The state, the likeliest if a file is damaged.
    pub state: RunFolderState,
    /// For the log: which file is damaged, how, and what was made of it.
    pub trouble: Option<String>,
    /// Somebody removed the folder of a run that was taken on.
    pub is_gone: bool,
}

impl Reading {
    fn of(state: RunFolderState) -> Self {
        Self { state, trouble: None, is_gone: false }
    }
}

/// The file `exit`. Without any of the endings, it is not known how the worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The worker's exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What its host says, which gives no status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_host: Option<String>,
    /// Why it was never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<String>,
    /// When that was.
    pub ended: Timestamp,
}

impl ExitRecord {
    /// For what ended just now.
    #[must_use]
    pub fn now(ending: &Ending) -> Self {
        let mut record =
            Self { status: None, signal: None, on_host: None, not_started: None, ended: Timestamp::now() };
        match ending {
            Ending::Status(status) => record.status = Some(*status),
            Ending::Killed(signal) => record.signal = Some(*signal),
            Ending::NotStarted(reason) => record.not_started = Some(reason.clone()),
            Ending::OnHost(said) => record.on_host = Some(said.clone()),
            // A run that was discarded never had a folder.
            Ending::Unknown | Ending::Discarded => {}
        }
        record
    }

    /// How the worker ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self {
            Self { not_started: Some(reason), .. } => Ending::NotStarted(reason.clone()),
            Self { status: Some(status), .. } => Ending::Status(*status),
            Self { signal: Some(signal), .. } => Ending::Killed(*signal),
            Self { on_host: Some(said), .. } => Ending::OnHost(said.clone()),
            _ => Ending::Unknown,
        }
    }
}

/// What a file holds.
pub(super) enum Content<T> {
    Absent,
    Whole(T),
    /// And why.
    Damaged(String),
}

impl RunFolder {
    /// The folder `path` of the run `run`, there or not.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, run: impl Into<String>) -> Self {
        Self { path: path.into(), run: run.into(), mark: None }
    }

    /// The same with a file elsewhere that also shows that the run was taken on, so that one whose folder is
    /// removed is not started again.
    #[must_use]
    pub fn marked(self, mark: impl Into<PathBuf>) -> Self {
        Self { mark: Some(mark.into()), ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Notes that the run was told to end, the first time. Without the note it is told twice at worst.
    pub fn note_told(&self) {
        let _ = File::create_new(self.path.join(TOLD));
    }

    /// How long ago it was told, if that was noted.
    #[must_use]
    pub fn told_ago(&self) -> Option<Duration> {
        let noted = fs::metadata(self.path.join(TOLD)).and_then(|note| note.modified()).ok()?;
        // The clock may have been set back.
        Some(noted.elapsed().unwrap_or_default())
    }

    /// The file that the worker's output and errors go to.
    #[must_use]
    pub fn output_log(&self) -> PathBuf {
        self.path.join(OUTPUT)
    }

    /// Takes the run on for this process, making the folder if need be. It is on disk when this comes back, so
    /// that not even a power cut makes a second start. Answers false if another process has it, or had.
    ///
    /// # Errors
    /// When it cannot be written, so that nobody has it; the text names the folder.
    pub fn claim(&self) -> io::Result<bool> {
        self.try_claim().map_err(|error| {
            let text = format!("the run's folder {} cannot be written: {error}", self.path.display());
            io::Error::new(error.kind(), text)
        })
    }

    fn try_claim(&self) -> io::Result<bool> {
        if self.mark.as_ref().is_some_and(|mark| mark.exists()) {
            return Ok(false);
        }
        fs::create_dir_all(&self.path)?;
        let new = self.write_new(CLAIM, &ProcessIdentity::of_self()?, true)?;
        failpoint::pass("runner: claim written");
        let linked = fs::hard_link(&new, self.path.join(CLAIM));
        failpoint::pass("runner: claim linked");
        if linked.is_ok() {
            self.set_mark(&new);
        }
        let _ = fs::remove_file(&new);
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
            Ok(()) => {
                // The claim's name, the run's in its day's folder, the day's in the runs folder. If the
                // disk does not keep them, the worker starts all the same: the claim holds until a power cut.
                for folder in self.path.ancestors().take(3) {
                    let _ = sync_folder(folder);
                }
                Ok(true)
            }
        }
    }

    /// Gives the claim its second name. Without it, the run is taken for one that nobody has if its folder is removed.
    fn set_mark(&self, claim: &Path) {
        let Some(mark) = &self.mark else { return };
        if let Some(folder) = mark.parent() {
            let _ = fs::create_dir_all(folder);
        }
        // The runs folder may be on another disk.
        let _ = fs::hard_link(claim, mark).or_else(|_| fs::copy(claim, mark).map(|_| ()));
    }

    /// Writes down the worker's process.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_process(&self, process: &ProcessIdentity) -> io::Result<()> {
        let new = self.write_new(PROCESS, process, false)?;
        fs::rename(new, self.path.join(PROCESS))
    }

    /// Writes down how and when the run ended. It is on disk when this comes back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_exit(&self, record: &ExitRecord) -> io::Result<()> {
        let new = self.write_new(EXIT, record, true)?;
        failpoint::pass("runner: exit file written");
        fs::rename(new, self.path.join(EXIT))?;
        // Without it, the record holds until a power cut, which nobody would see to better by waiting.
        let _ = sync_folder(&self.path);
        Ok(())
    }

    /// How and when the run ended; `None` if that is not there or cannot be read.
    #[must_use]
    pub fn exit(&self) -> Option<ExitRecord> {
        match self.read(EXIT) {
            Ok(Content::Whole(record)) => Some(record),
            _ => None,
        }
    }

    /// What the folder says about the run now.
    ///
    /// # Errors
    /// When a file is there and the operating system does not let it be read.
    pub fn state(&self) -> io::Result<Reading> {
        if let Some(ended) = self.read_exit()? {
            return Ok(ended);
        }
        let (mut trouble, mut is_gone) = (None, false);
        // Before the claim, which is older.
        let mark = match &self.mark {
            Some(mark) => Self::read_file(mark)?,
            None => Content::Absent,
        };
        let claim = match self.read(CLAIM)? {
            Content::Absent if matches!(mark, Content::Absent) => {
                return Ok(Reading::of(RunFolderState::Unclaimed));
            }
            Content::Absent => {
                is_gone = true;
                let path = self.path.display();
                trouble = Some(format!("{path} was removed, so its output and how it ends are lost"));
                mark
            }
            claim => claim,
        };
        let runner: Option<ProcessIdentity> = match claim {
            Content::Whole(runner) => Some(runner),
            Content::Damaged(why) => {
                trouble = Some(format!("{why}; the run is taken for claimed by a runner that is dead"));
                None
            }
            Content::Absent => None,
        };
        if let Some(runner) = runner.as_ref().filter(|runner| runner.is_alive()) {
            return Ok(Reading {
                state: RunFolderState::Running { runner: runner.clone() },
                trouble,
                is_gone,
            });
        }
        // It may have written that between the first look and its death.
        if let Some(ended) = self.read_exit()? {
            return Ok(ended);
        }
        let find = || find_worker(&self.run, &self.path, runner.map_or(0, |runner| runner.start_time));
        let worker = match self.read::<ProcessIdentity>(PROCESS)? {
            Content::Whole(worker) => Some(worker).filter(ProcessIdentity::is_alive),
            Content::Absent => find(),
            Content::Damaged(why) => {
                trouble = Some(format!("{why}; the worker is looked for among all processes"));
                find()
            }
        };
        let state = match worker {
            _ if self.host().is_some() => RunFolderState::LeftOnHost,
            Some(worker) => RunFolderState::Orphan { worker },
            None => RunFolderState::Ended(Ending::Unknown),
        };
        Ok(Reading { state, trouble, is_gone })
    }

    fn read_exit(&self) -> io::Result<Option<Reading>> {
        Ok(match self.read::<ExitRecord>(EXIT)? {
            Content::Absent => None,
            Content::Whole(record) => Some(Reading::of(RunFolderState::Ended(record.ending()))),
            Content::Damaged(why) => Some(Reading {
                state: RunFolderState::Ended(Ending::Unknown),
                trouble: Some(format!("{why}; the run has ended, and how is lost")),
                is_gone: false,
            }),
        })
    }

    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Content<T>> {
        Self::read_file(&self.path.join(name))
    }

    fn read_file<T: DeserializeOwned>(path: &Path) -> io::Result<Content<T>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::Absent),
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("{} cannot be read: {error}", path.display()),
                ));
            }
            Ok(bytes) => bytes,
        };
        Ok(match serde_json::from_slice(&bytes) {
            Ok(value) => Content::Whole(value),
            Err(_) if bytes.is_empty() => Content::Damaged(format!("{} is empty", path.display())),
            Err(error) => Content::Damaged(format!("{} is damaged: {error}", path.display())),
        })
    }

    /// Writes a file under a name that no other process or call uses, and answers that; nothing is left of
    /// one that could not be written.
    pub(super) fn write_new(&self, name: &str, content: &impl Serialize, sync: bool) -> io::Result<PathBuf> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let new = self.path.join(format!("{name}.{}.{number}.new", std::process::id()));
        let bytes = serde_json::to_vec(content)?;
        let write = || {
            // A killed process of the same number may have left its own, which may be the claim by now:
            // it is not written over.
            let _ = fs::remove_file(&new);
            let mut file = File::create_new(&new)?;
            file.write_all(&bytes)?;
            if sync { file.sync_all() } else { Ok(()) }
        };
        match write() {
            Ok(()) => Ok(new),
            Err(error) => {
                let _ = fs::remove_file(&new);
                Err(error)
            }
        }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
