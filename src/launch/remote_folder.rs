//! The files of a run on another host, beside those that every run has: how it is asked for, whether contact is
//! lost, whether it reported.

use std::fs::{self, File};
use std::io;

use rustix::fs::{FlockOperation, flock};

use super::folder_files::FileContent;
use super::folder_state::RunFolderState;
use super::lost_contact::LostContact;
use super::on_host::RemoteCommands;
use super::run_folder::{CLAIM, PROCESS, RunFolder};
use crate::process::{ProcessIdentity, find_worker};

const REMOTE: &str = "remote";
const CONTACT_LOST: &str = "contact-lost";
const REPORTED: &str = "reported";
const ADOPTION_LOCK: &str = "adoption.lock";

impl RunFolder {
    /// Writes down how the host is asked for the run, before it is launched there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_remote_commands(&self, remote: &RemoteCommands) -> io::Result<()> {
        let new = self.write_new(REMOTE, remote, true)?;
        fs::rename(new, self.path().join(REMOTE))
    }

    /// How the host is asked for the run, if it was launched elsewhere.
    #[must_use]
    pub fn remote_commands(&self) -> Option<RemoteCommands> {
        self.read_whole(REMOTE)
    }

    /// Writes down that contact is lost, for those who look. Nothing else hangs on it.
    pub fn write_lost_contact(&self, contact: &LostContact) {
        if let Ok(new) = self.write_new(CONTACT_LOST, contact, false) {
            let _ = fs::rename(new, self.path().join(CONTACT_LOST));
        }
    }

    /// What is known since contact was lost, if it was and the run goes on.
    #[must_use]
    pub fn lost_contact(&self) -> Option<LostContact> {
        self.read_whole(CONTACT_LOST).filter(|_| self.exit().is_none())
    }

    /// What launched it on the host, if that lives.
    #[must_use]
    pub fn launcher(&self) -> Option<ProcessIdentity> {
        match self.read(PROCESS) {
            Ok(FileContent::Whole(launcher)) => Some(launcher).filter(ProcessIdentity::is_alive),
            _ => find_worker(self.run(), self.path(), 0),
        }
    }

    /// Notes that the worker has reported how it ended: nobody needs to ask the host any more once contact is lost.
    pub fn note_reported(&self) {
        let _ = File::create_new(self.path().join(REPORTED));
    }

    /// Whether that was noted.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.path().join(REPORTED).exists()
    }

    /// Takes the run over from a runner that is dead. Answers false if somebody else sees to it, or has.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn adopt(&self) -> io::Result<bool> {
        // Let go when the file is closed, also when the process dies; until then, no other takes it over as well.
        let lock = File::create(self.path().join(ADOPTION_LOCK))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        if !matches!(self.state()?.state, RunFolderState::LeftOnHost) {
            return Ok(false);
        }
        let new = self.write_new(CLAIM, &ProcessIdentity::of_self()?, true)?;
        fs::rename(new, self.path().join(CLAIM))?;
        Ok(true)
    }

    fn read_whole<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        match self.read(name) {
            Ok(FileContent::Whole(value)) => Some(value),
            _ => None,
        }
    }
}
