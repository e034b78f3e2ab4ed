//! The files of one run: who has it, which process its worker is, what it wrote, how it ended.
//!
//! Each file but the output appears whole or not at all, whatever is killed meanwhile; no reader ever
//! changes one. A `.new` file that a killed process left is not looked at.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit_record::ExitRecord;
use super::folder_files::{FileContent, sync_folder};
use crate::failpoint;
use crate::process::ProcessIdentity;

pub(super) const CLAIM: &str = "claim";
pub(super) const PROCESS: &str = "process";
pub(super) const EXIT: &str = "exit";
const STOP_REQUESTED: &str = "stop-requested";

/// The file that the worker's output and errors go to.
pub(super) const OUTPUT: &str = "output.log";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    pub(super) path: PathBuf,
    pub(super) run: String,
    /// A second name of the claim, which stays when the folder is removed.
    pub(super) mark: Option<PathBuf>,
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
    pub fn note_stop_request(&self) {
        let _ = File::create_new(self.path.join(STOP_REQUESTED));
    }

    /// How long ago it was told, if that was noted.
    #[must_use]
    pub fn time_since_stop_request(&self) -> Option<Duration> {
        let noted = fs::metadata(self.path.join(STOP_REQUESTED)).and_then(|note| note.modified()).ok()?;
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
            Ok(FileContent::Whole(record)) => Some(record),
            _ => None,
        }
    }
}
