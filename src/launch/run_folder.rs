//! [`RunFolder`]: the claim, the process, the exit and the output of one run, each in a file of its own. The exit and the output stay.
//!
//! A reader never changes a file. A `.new` file that a killed process left is ignored.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;

use super::exit_record::ExitRecord;
use crate::clock::MachineClock;
use crate::failpoint;
use crate::process::ProcessIdentity;
use nowcast_core::BootTime;

pub(super) const CLAIM: &str = "claim";
pub(super) const PROCESS: &str = "process";
pub(super) const EXIT: &str = "exit";
pub(super) const STOP_REQUESTED: &str = "stop-requested";

/// The file that receives the worker's standard output and standard error.
pub(super) const OUTPUT: &str = "output.log";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    run: String,
    /// A second name of the claim, which stays when the folder is removed.
    mark: Option<PathBuf>,
}

impl RunFolder {
    /// The folder of a run, whether it exists or not.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, run: impl Into<String>) -> Self {
        Self { path: path.into(), run: run.into(), mark: None }
    }

    /// Use a file elsewhere that also shows that the run was claimed, so that a run whose folder is removed is not
    /// started again.
    #[must_use]
    pub fn with_claim_mark(self, mark: impl Into<PathBuf>) -> Self {
        Self { mark: Some(mark.into()), ..self }
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn claim_mark(&self) -> Option<&Path> {
        self.mark.as_deref()
    }

    /// The path of the worker's output.
    #[must_use]
    pub fn output_log(&self) -> PathBuf {
        self.path.join(OUTPUT)
    }

    /// Claim the run for this process, creating the folder if necessary. Return false if another process has or had
    /// the run. The claim is on disk when this returns, unless the folders cannot be synced, so that a power cut causes no
    /// second start.
    ///
    /// # Errors
    /// When the claim cannot be written, so that the run stays unclaimed; the text names the folder.
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
            // The claim of an ended run was removed after its exit was recorded.
            if self.path.join(EXIT).is_file() {
                let _ = fs::remove_file(&new);
                let _ = fs::remove_file(self.path.join(CLAIM));
                return Ok(false);
            }
            self.set_mark(&new);
        }
        let _ = fs::remove_file(&new);
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
            Ok(()) => {
                // Sync the entries of the claim, the run's folder and the day's folder. If that fails, the worker starts all
                // the same, but the claim may not survive a power cut.
                for folder in self.path.ancestors().take(3) {
                    let _ = sync_folder(folder);
                }
                Ok(true)
            }
        }
    }

    /// Whether a process has or had the run; another one may have adopted it since.
    pub(super) fn is_claimed_by(&self, process: Pid) -> bool {
        let claim = self.read_whole::<ProcessIdentity>(CLAIM);
        matches!(claim, Ok(Some(claim)) if claim.raw() == Some(process))
    }

    /// Give the claim its second name. Without it, a run whose folder is removed counts as unclaimed.
    fn set_mark(&self, claim: &Path) {
        let Some(mark) = &self.mark else { return };
        if let Some(folder) = mark.parent() {
            let _ = fs::create_dir_all(folder);
        }
        // The runs folder may be on another disk.
        let _ = fs::hard_link(claim, mark).or_else(|_| fs::copy(claim, mark).map(|_| ()));
    }

    /// Replace the claim of a runner that has died by one of this process.
    pub(super) fn replace_claim(&self) -> io::Result<()> {
        self.write(CLAIM, &ProcessIdentity::of_self()?, true)
    }

    /// Record the worker's process.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_process(&self, process: &ProcessIdentity) -> io::Result<()> {
        self.write(PROCESS, process, false)
    }

    /// Note that the run was requested to stop, the first time only. Without the note, another request may be sent.
    pub fn note_stop_request(&self) {
        let Ok(note) = File::create_new(self.path.join(STOP_REQUESTED)) else { return };
        if let Some(time) = MachineClock::new().read().boot_time {
            let _ = serde_json::to_writer(note, &time);
        }
    }

    /// Return how long ago the run was first requested to stop, if it was.
    #[must_use]
    pub fn time_since_stop_request(&self) -> Option<Duration> {
        let path = self.path.join(STOP_REQUESTED);
        let modified = fs::metadata(&path).and_then(|note| note.modified()).ok()?;
        let noted = fs::read(&path).ok().and_then(|note| serde_json::from_slice::<BootTime>(&note).ok());
        let passed = noted.zip(MachineClock::new().read().boot_time).and_then(|(noted, now)| {
            (noted.boot == now.boot)
                .then(|| Duration::try_from(now.uptime - noted.uptime).unwrap_or_default())
        });
        // Only the wall clock goes on from one boot to the next. It may have been set back.
        Some(passed.unwrap_or_else(|| modified.elapsed().unwrap_or_default()))
    }

    /// Record how and when the run ended. The record is on disk when this returns, unless the folder cannot be synced: then this returns
    /// false.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_exit(&self, record: &ExitRecord) -> io::Result<bool> {
        let new = self.write_new(EXIT, record, true)?;
        failpoint::pass("runner: exit file written");
        fs::rename(new, self.path.join(EXIT))?;
        // Without the sync, the record may not survive a power cut, and a retry would not help.
        let is_synced = sync_folder(&self.path).is_ok();
        failpoint::pass("runner: exit synced");
        Ok(is_synced)
    }

    /// Return how and when the run ended; `None` if the record does not exist or cannot be read.
    #[must_use]
    pub fn exit(&self) -> Option<ExitRecord> {
        self.exit_record().ok().flatten()
    }

    /// Return how and when the run ended, if the record exists and is not damaged.
    pub(super) fn exit_record(&self) -> io::Result<Option<ExitRecord>> {
        self.read_whole(EXIT)
    }
}

/// Write the entries of a folder to disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
