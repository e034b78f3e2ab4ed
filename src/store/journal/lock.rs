//! [`Lock`]: one manager for each journal, and a note with its last event.
//!
//! The folder is locked, since it is not removed by mistake while in use, and then the file `lock` with the note: earlier versions
//! lock only that file. If the file is removed, it is created again.
//!
//! The note is written after each commit without waiting for the disk. So it is never ahead of the database,
//! and a database that is behind it has lost events.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::fs::OFlags;

use super::error::JournalError;
use crate::private_folder;
use crate::process::ProcessIdentity;

/// Timeout for the lock of a dead manager. A child process that it was starting holds the lock until it executes its program.
const DEAD_HOLDER_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for the lock of a living manager, whose child process may hold it in the same way.
const LIVING_HOLDER_TIMEOUT: Duration = Duration::from_millis(250);

/// The interval between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Longer than the note ever is, in bytes.
const NOTE: usize = 1_024;

/// The lock of a journal. It is released when it is dropped or the process ends; programs that the process starts do not inherit
/// it.
#[derive(Debug)]
pub(super) struct Lock {
    /// The folder.
    handle: File,
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Take the lock; return it with the last event in the note, 0 without one.
    pub(super) fn take(folder: &Path) -> Result<(Self, u64), JournalError> {
        let path = folder.join("lock");
        let unusable = |error| JournalError::Unusable { file: path.clone(), error };
        let handle = File::open(folder).map_err(unusable)?;
        let file = open(&path).map_err(unusable)?;
        let start = Instant::now();
        loop {
            let is_free = match try_lock(&handle) {
                // Some network disks lock no folders; the file alone has to do there.
                Ok(true) | Err(_) => try_lock(&file).map_err(unusable)?,
                Ok(false) => false,
            };
            if is_free {
                break;
            }
            let pid = number(&file, "process").map_err(unusable)?.and_then(|pid| pid.try_into().ok());
            let timeout = if pid.is_none_or(is_alive) { LIVING_HOLDER_TIMEOUT } else { DEAD_HOLDER_TIMEOUT };
            if start.elapsed() >= timeout {
                return Err(JournalError::Locked { folder: folder.to_owned(), pid });
            }
            thread::sleep(RETRY_INTERVAL);
        }
        let noted = number(&file, "last event").map_err(unusable)?.unwrap_or_default();
        let lock = Self { handle, file, path: path.clone() };
        lock.write(noted).map_err(unusable)?;
        Ok((lock, noted))
    }

    /// Return the journal's folder.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Check that the folder has not been replaced, since another manager may use the new one. Create the file in it again if it
    /// is missing.
    pub(super) fn check(&mut self) -> Result<(), JournalError> {
        if !is_open_at(&self.handle, self.folder()) {
            return Err(JournalError::Replaced { file: self.folder().to_owned() });
        }
        if !is_open_at(&self.file, &self.path)
            && let Ok(file) = open(&self.path)
            && try_lock(&file).is_ok_and(|locked| locked)
        {
            // The next note is written to it.
            self.file = file;
        }
        Ok(())
    }

    /// Note the last committed event. If that fails, the older note does no harm.
    pub(super) fn note(&self, last_event: u64) {
        let _ = self.write(last_event);
    }

    /// Write a note, always of the same length, so that it replaces the previous one.
    fn write(&self, last_event: u64) -> io::Result<()> {
        let text = format!("process {:<10}\nlast event {last_event:<20}\n", std::process::id());
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

fn open(path: &Path) -> io::Result<File> {
    private_folder::open_file(path)
}

/// Open a file or folder for reading. A pipe does not block.
fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Return whether the file at a path is the one with this identity; true if that is unknown.
pub(super) fn is_at(file: (u64, u64), path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) => identity(&found) == file,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// As [`is_at`], for an open file.
fn is_open_at(file: &File, path: &Path) -> bool {
    file.metadata().map_or(true, |file| is_at(identity(&file), path))
}

/// Return the device and inode of a file, which identify it under any name.
pub(super) fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Return a number of the note, if it can be read.
fn number(file: &File, name: &str) -> io::Result<Option<u64>> {
    let mut bytes = [0; NOTE];
    let length = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    Ok(text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()))
}

/// Return the process that holds the journal in a folder, 0 if it is unknown, or `None` if the journal is not in use.
#[must_use]
pub fn holder(folder: &Path) -> Option<u64> {
    let is_held = |path: &Path| {
        let tried = open_to_read(path).map(|file| file.try_lock_shared());
        matches!(tried, Ok(Err(TryLockError::WouldBlock)))
    };
    let path = folder.join("lock");
    if !is_held(folder) && !is_held(&path) {
        return None;
    }
    let pid = open_to_read(&path).and_then(|file| number(&file, "process")).ok().flatten();
    Some(pid.unwrap_or_default())
}

/// Return the last event in the note of a folder's lock, if it can be read.
pub(super) fn last_event(folder: &Path) -> Option<u64> {
    open_to_read(&folder.join("lock")).and_then(|file| number(&file, "last event")).ok().flatten()
}

/// Return whether a process runs. A zombie does not.
fn is_alive(pid: u32) -> bool {
    let process = i32::try_from(pid).map(ProcessIdentity::of);
    process.is_ok_and(|process| process.and_then(|process| process.is_alive()).is_ok_and(|is_alive| is_alive))
}
