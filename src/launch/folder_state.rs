//! [`RunFolderState`]: the state of a run, as the files of its folder show it. It changes nothing.

use std::io;

use super::exit_record::ExitRecord;
use super::folder_files::{FileContent, read_file};
use super::run_folder::{CLAIM, EXIT, PROCESS, RunFolder};
use crate::process::{ProcessIdentity, find_worker};
use nowcast_core::Ending;

/// The state of a run, as its folder shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunFolderState {
    /// No runner has claimed the run.
    Unclaimed,
    /// A runner watches the run.
    Running {
        /// The runner.
        runner: ProcessIdentity,
    },
    /// The runner has died; the worker is alive.
    Orphan {
        /// The worker.
        worker: ProcessIdentity,
    },
    /// The runner of a remote run has died. Another runner must adopt the run and ask the host.
    RemoteOrphan,
    /// The runner died after the program of `exec:` ended and before the run's exit was recorded. Another runner must adopt
    /// the run and report.
    Unreported {
        /// How the program ended.
        program: Ending,
    },
    /// The run has ended. [`Ending::Unknown`] also stands for a run whose runner was killed between claim and start:
    /// whether there was a worker is not known, so it is not started again.
    Ended(Ending),
}

/// The state of a run, and what was wrong with the files it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderReading {
    /// The state; the most likely one if a file is damaged.
    pub state: RunFolderState,
    /// For the log: which file is damaged, how, and the consequence.
    pub problem: Option<String>,
    /// Whether the folder of a claimed run was removed.
    pub is_removed: bool,
}

impl FolderReading {
    fn of(state: RunFolderState) -> Self {
        Self { state, problem: None, is_removed: false }
    }
}

impl RunFolder {
    /// Return the current state of the run.
    ///
    /// # Errors
    /// When a file exists and cannot be read, or it cannot be read whether a process is alive.
    pub fn state(&self) -> io::Result<FolderReading> {
        if let Some(ended) = self.read_exit()? {
            return Ok(ended);
        }
        let (mut problem, mut is_removed) = (None, false);
        // Read before the claim, which is made first: a mark without a claim means that the folder was removed.
        let mark = match self.claim_mark() {
            Some(mark) => read_file(mark)?,
            None => FileContent::Absent,
        };
        let claim = self.read(CLAIM)?;
        // A runner removes the claim after it has recorded the exit.
        if matches!(claim, FileContent::Absent)
            && let Some(ended) = self.read_exit()?
        {
            return Ok(ended);
        }
        let claim = match claim {
            FileContent::Absent if matches!(mark, FileContent::Absent) => {
                return Ok(FolderReading::of(RunFolderState::Unclaimed));
            }
            FileContent::Absent => {
                is_removed = true;
                let path = self.path().display();
                problem = Some(format!("{path} was removed; the run's output and exit status are lost"));
                mark
            }
            claim => claim,
        };
        let runner: Option<ProcessIdentity> = match claim {
            FileContent::Whole(runner) => Some(runner),
            FileContent::Damaged(reason) => {
                problem = Some(format!("{reason}; assuming that a runner claimed the run and died"));
                None
            }
            FileContent::Absent => None,
        };
        if let Some(runner) = &runner
            && runner.is_alive()?
        {
            let state = RunFolderState::Running { runner: runner.clone() };
            return Ok(FolderReading { state, problem, is_removed });
        }
        // Read again: the runner may have written the exit record between the first reading and its death.
        if let Some(ended) = self.read_exit()? {
            return Ok(ended);
        }
        if let Some(end) = self.program_end()? {
            // After a power cut, the payload may be lost; a run that was requested to stop does not report.
            let is_of_this_boot = runner.as_ref().map(ProcessIdentity::is_of_this_boot).transpose()?;
            let is_reportable = is_of_this_boot.unwrap_or(false) && self.time_since_stop_request().is_none();
            let program = end.exit.ending();
            let state = if is_reportable {
                RunFolderState::Unreported { program }
            } else {
                RunFolderState::Ended(program)
            };
            return Ok(FolderReading { state, problem, is_removed });
        }
        let find = || find_worker(self.run(), self.path(), runner.map_or(0, |runner| runner.start_time));
        let worker = match self.read::<ProcessIdentity>(PROCESS)? {
            FileContent::Whole(worker) => worker.is_alive()?.then_some(worker),
            FileContent::Absent => find()?,
            FileContent::Damaged(reason) => {
                problem = Some(format!("{reason}; searching all processes for the worker"));
                find()?
            }
        };
        let state = match worker {
            _ if self.remote_commands()?.is_some() => RunFolderState::RemoteOrphan,
            Some(worker) => RunFolderState::Orphan { worker },
            None => RunFolderState::Ended(Ending::Unknown),
        };
        Ok(FolderReading { state, problem, is_removed })
    }

    /// Return the process that the runner started, if it is alive: the worker, or the launching command.
    ///
    /// # Errors
    /// When a file exists and cannot be read.
    pub fn live_process(&self) -> io::Result<Option<ProcessIdentity>> {
        match self.read::<ProcessIdentity>(PROCESS)? {
            FileContent::Whole(process) => Ok(process.is_alive()?.then_some(process)),
            FileContent::Absent | FileContent::Damaged(_) => {
                let found = find_worker(self.run(), self.path(), 0)?;
                // A process that an ended run has left is there on purpose.
                Ok(if matches!(self.read::<ExitRecord>(EXIT)?, FileContent::Absent) { found } else { None })
            }
        }
    }

    fn read_exit(&self) -> io::Result<Option<FolderReading>> {
        Ok(match self.read::<ExitRecord>(EXIT)? {
            FileContent::Absent => None,
            FileContent::Whole(record) => Some(FolderReading::of(RunFolderState::Ended(record.ending()))),
            FileContent::Damaged(reason) => Some(FolderReading {
                state: RunFolderState::Ended(Ending::Unknown),
                problem: Some(format!("{reason}; the run has ended, and its exit status is lost")),
                is_removed: false,
            }),
        })
    }
}
