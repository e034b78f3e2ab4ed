//! The further files of a remote run's folder: how to find and stop the run, whether contact is lost, whether the
//! worker reported.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};

use super::folder_files::FileContent;
use super::folder_state::RunFolderState;
use super::launch_command::RemoteCommands;
use super::lost_contact::LostContact;
use super::run_folder::{PROCESS, RunFolder};
use crate::process::{ProcessIdentity, find_worker};

const REMOTE: &str = "remote";
const CONTACT_LOST: &str = "contact-lost";
const REPORTED: &str = "reported";
const ADOPTION_LOCK: &str = "adoption.lock";

impl RunFolder {
    /// Record how to find and stop the run, before it is launched on its host.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_remote_commands(&self, remote: &RemoteCommands) -> io::Result<()> {
        self.write(REMOTE, remote, true)
    }

    /// Return how to find and stop the run, if it was launched on a remote host.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn remote_commands(&self) -> io::Result<Option<RemoteCommands>> {
        self.read_whole(REMOTE)
    }

    /// Record for operators that contact is lost. No decision depends on it.
    pub fn write_lost_contact(&self, contact: &LostContact) {
        let _ = self.write(CONTACT_LOST, contact, false);
    }

    /// Return the latest record of lost contact, if the run has not ended.
    #[must_use]
    pub fn lost_contact(&self) -> Option<LostContact> {
        self.read_whole(CONTACT_LOST).ok().flatten().filter(|_| self.exit().is_none())
    }

    /// Return the process that the runner started, if it is alive: the worker, or the launching command.
    ///
    /// # Errors
    /// When a file exists and cannot be read.
    pub fn live_process(&self) -> io::Result<Option<ProcessIdentity>> {
        match self.read::<ProcessIdentity>(PROCESS)? {
            FileContent::Whole(process) => Ok(process.is_alive()?.then_some(process)),
            FileContent::Absent | FileContent::Damaged(_) => find_worker(self.run(), self.path(), 0),
        }
    }

    /// Note that the worker has reported how it ended: then a host with which contact is lost need not be asked.
    pub fn note_reported(&self) {
        let _ = File::create_new(self.path().join(REPORTED));
    }

    /// Whether the worker has reported.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.path().join(REPORTED).exists()
    }

    /// Adopt the run from a runner that has died. Return false if another runner has adopted it, or it has ended.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn adopt(&self) -> io::Result<bool> {
        // Held until the file is closed, also by the death of this process.
        let lock = File::create(self.path().join(ADOPTION_LOCK))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        let state = self.state()?.state;
        if !matches!(state, RunFolderState::RemoteOrphan | RunFolderState::Unreported { .. }) {
            return Ok(false);
        }
        self.replace_claim()?;
        Ok(true)
    }
}
