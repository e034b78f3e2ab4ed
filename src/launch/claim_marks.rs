//! [`ClaimMarks`]: which runs were taken on, kept outside their folders.
//!
//! A runner makes the mark when it has claimed its run, so a run whose folder is removed while it is open is not
//! started a second time. It stands until the end of the run is in the journal.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the marks, beside that of the runs.
const NAME: &str = "claims";

/// A file for each run that was taken on and whose end is not kept yet.
#[derive(Debug)]
pub(super) struct ClaimMarks {
    folder: PathBuf,
}

impl ClaimMarks {
    pub(super) fn beside(runs: &Path) -> Self {
        Self { folder: runs.with_file_name(NAME) }
    }

    /// The mark of a run, there or not.
    pub(super) fn of(&self, run: &str) -> PathBuf {
        self.folder.join(run)
    }

    /// One that stays does no harm: the next manager removes it.
    pub(super) fn remove(&self, run: &str) {
        let _ = fs::remove_file(self.of(run));
    }

    /// Removes those of all other runs.
    pub(super) fn keep_only(&self, runs: &HashSet<String>) {
        for mark in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if !mark.file_name().to_str().is_some_and(|name| runs.contains(name)) {
                let _ = fs::remove_file(mark.path());
            }
        }
    }
}
