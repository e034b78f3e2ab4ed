//! Removing from the folder of an ended run what was only needed while it ran. The exit, the output and files of the worker's own stay.

use std::fs;

use super::adoption::ADOPTION_LOCK;
use super::exec_run::EXEC_FILES;
use super::program::PROGRAM;
use super::remote_folder::{CONTACT_LOST, REMOTE, REPORTED};
use super::run_folder::{CLAIM, PROCESS, RunFolder, STOP_REQUESTED};
use crate::failpoint;

/// The claim comes last, so that a folder without one has nothing else that must be removed.
const FILES_OF_OPEN_RUN: [&str; 8] =
    [PROCESS, PROGRAM, REMOTE, CONTACT_LOST, REPORTED, STOP_REQUESTED, ADOPTION_LOCK, CLAIM];

impl RunFolder {
    /// Remove the files that only an open run needs. The record of its exit must be on disk: from now on, it alone shows that the run
    /// was claimed. A file that stays does no harm.
    pub(super) fn remove_files_of_open_run(&self) {
        let _ = fs::remove_dir_all(self.path().join(EXEC_FILES));
        for name in FILES_OF_OPEN_RUN {
            let _ = fs::remove_file(self.path().join(name));
        }
        failpoint::pass("runner: claim removed");
    }
}
