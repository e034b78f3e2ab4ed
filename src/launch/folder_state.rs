//! [`RunFolderState`]: what the files of a run's folder say about the run. It changes nothing.

use std::io;

use super::exit_record::ExitRecord;
use super::folder_files::FileContent;
use super::run_folder::{CLAIM, EXIT, PROCESS, RunFolder};
use crate::process::{ProcessIdentity, find_worker};
use nowcast_core::Ending;

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

impl RunFolder {
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
            None => FileContent::Absent,
        };
        let claim = match self.read(CLAIM)? {
            FileContent::Absent if matches!(mark, FileContent::Absent) => {
                return Ok(Reading::of(RunFolderState::Unclaimed));
            }
            FileContent::Absent => {
                is_gone = true;
                let path = self.path.display();
                trouble = Some(format!("{path} was removed, so its output and how it ends are lost"));
                mark
            }
            claim => claim,
        };
        let runner: Option<ProcessIdentity> = match claim {
            FileContent::Whole(runner) => Some(runner),
            FileContent::Damaged(why) => {
                trouble = Some(format!("{why}; the run is taken for claimed by a runner that is dead"));
                None
            }
            FileContent::Absent => None,
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
            FileContent::Whole(worker) => Some(worker).filter(ProcessIdentity::is_alive),
            FileContent::Absent => find(),
            FileContent::Damaged(why) => {
                trouble = Some(format!("{why}; the worker is looked for among all processes"));
                find()
            }
        };
        let state = match worker {
            _ if self.remote_commands().is_some() => RunFolderState::LeftOnHost,
            Some(worker) => RunFolderState::Orphan { worker },
            None => RunFolderState::Ended(Ending::Unknown),
        };
        Ok(Reading { state, trouble, is_gone })
    }

    fn read_exit(&self) -> io::Result<Option<Reading>> {
        Ok(match self.read::<ExitRecord>(EXIT)? {
            FileContent::Absent => None,
            FileContent::Whole(record) => Some(Reading::of(RunFolderState::Ended(record.ending()))),
            FileContent::Damaged(why) => Some(Reading {
                state: RunFolderState::Ended(Ending::Unknown),
                trouble: Some(format!("{why}; the run has ended, and how is lost")),
                is_gone: false,
            }),
        })
    }
}
