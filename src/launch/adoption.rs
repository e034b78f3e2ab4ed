//! [`RunFolder::adopt`]: a runner takes over the run of one that has died. It never takes a run from a runner that is alive.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};

use super::folder_state::RunFolderState;
use super::run_folder::RunFolder;

pub(super) const ADOPTION_LOCK: &str = "adoption.lock";

impl RunFolder {
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
