//! Removing from the folder of an ended run what was only needed while it ran. The exit, the output and files of the worker's own stay.

use std::fs;
use std::io;

use super::adoption::ADOPTION_LOCK;
use super::exec_run::EXEC_FILES;
use super::exit_record::ExitRecord;
use super::program::PROGRAM;
use super::remote_folder::{CONTACT_LOST, REMOTE, REPORTED};
use super::run_folder::{CLAIM, PROCESS, RunFolder, STOP_REQUESTED};
use crate::failpoint;

/// The claim comes last: until then, a folder looks as it did at the end of the run.
const FILES_OF_OPEN_RUN: [&str; 8] =
    [PROCESS, PROGRAM, REMOTE, CONTACT_LOST, REPORTED, STOP_REQUESTED, ADOPTION_LOCK, CLAIM];

impl RunFolder {
    /// Record how and when the run ended, and remove the files that only an open run needs. A file that stays does no harm.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn end(&self, record: &ExitRecord) -> io::Result<()> {
        // After a power cut, the claim must show that the run was claimed if the record does not.
        if self.write_exit(record)? {
            self.remove_files_of_open_run();
        }
        Ok(())
    }

    fn remove_files_of_open_run(&self) {
        let _ = fs::remove_dir_all(self.path().join(EXEC_FILES));
        for name in FILES_OF_OPEN_RUN {
            let _ = fs::remove_file(self.path().join(name));
        }
        failpoint::pass("runner: claim removed");
    }
}
