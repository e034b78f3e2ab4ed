//! [`ClaimMarks`]: which runs were claimed, kept outside of their folders.
//!
//! A runner makes the mark when it has claimed its run. So a run is not started a second time if its folder is
//! removed while it is open. The mark stays until the end of the run is in the journal.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use nowcast_core::RunId;

/// The folder of the marks, beside the runs folder.
const NAME: &str = "claims";

/// Return the folder of the marks for a runs folder.
#[must_use]
pub fn claims_folder(runs: &Path) -> PathBuf {
    runs.with_file_name(NAME)
}

/// One file for each run that was claimed and whose end is not in the journal.
#[derive(Debug)]
pub(super) struct ClaimMarks {
    folder: PathBuf,
}

impl ClaimMarks {
    pub(super) fn beside(runs: &Path) -> Self {
        Self { folder: claims_folder(runs) }
    }

    /// The path of a run's mark, whether it exists or not.
    pub(super) fn path_of(&self, run: RunId) -> PathBuf {
        self.folder.join(run.0.to_string())
    }

    /// Remove the mark of a run. A mark that stays does no harm: the next manager removes it.
    pub(super) fn remove(&self, run: RunId) {
        let _ = fs::remove_file(self.path_of(run));
    }

    /// Remove the marks of all other runs.
    pub(super) fn retain(&self, runs: &HashSet<RunId>) {
        let kept: HashSet<PathBuf> = runs.iter().map(|run| self.path_of(*run)).collect();
        for mark in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if !kept.contains(&mark.path()) {
                let _ = fs::remove_file(mark.path());
            }
        }
    }
}
