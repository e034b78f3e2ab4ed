//! The further files of a remote run's folder: how to find and stop the run, whether contact is lost, whether the
//! worker reported.

use std::fs::File;
use std::io;

use super::launch_command::RemoteCommands;
use super::lost_contact::LostContact;
use super::run_folder::RunFolder;

pub(super) const REMOTE: &str = "remote";
pub(super) const CONTACT_LOST: &str = "contact-lost";
pub(super) const REPORTED: &str = "reported";

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

    /// Note that the worker has reported how it ended: then a host with which contact is lost need not be asked.
    pub fn note_reported(&self) {
        let _ = File::create_new(self.path().join(REPORTED));
    }

    /// Whether the worker has reported.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.path().join(REPORTED).exists()
    }
}
