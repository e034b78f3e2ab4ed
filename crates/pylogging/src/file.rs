//! A log file: appending, following it when another program rotates it, rotation as in Python. `shared` rotates files that several
//! programs write.
//!
//! A log file never creates folders and never stops the program: the first lost line is reported, further ones are
//! counted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::gather::is_gathering;
use super::output::{Complaint, Held, Unwritten, say, write_whole};
use shared::SharedFile;

mod shared;

/// The time limit for a pipe to take a line.
const PIPE_TIMEOUT: Duration = Duration::from_secs(1);

/// The limits of a rotating file: Python's `maxBytes` and `backupCount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rotation {
    /// The size in bytes at which a file is rotated; 0 means no limit.
    pub max_bytes: u64,
    /// The number of old files to keep, of which `.1` is the newest; 0 means no rotation.
    pub backup_count: u32,
}

/// The reaction to rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Keep the file that was opened (`FileHandler`).
    Stay,
    /// Open the file again when its path leads to another one (`WatchedFileHandler`).
    Watch,
    /// Watch, and rotate (`RotatingFileHandler`).
    Rotate(Rotation),
    /// Watch, and rotate by size if no other program does so at that moment.
    Share(Rotation),
}

/// A log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    behaviour: Behaviour,
    open: Option<Open>,
    /// Whether the last line is incomplete, so that the next one needs a line end before it.
    torn: bool,
    /// Whether the open file was moved away from the path and no new one could be opened.
    astray: bool,
    held: Held,
    complaint: Complaint,
    shared: SharedFile,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: Identity,
}

/// Device and inode: a file's identity, whatever its name.
type Identity = (u64, u64);

impl LogFile {
    /// Create a log file, which is opened at its first line.
    pub fn new(path: &Path, behaviour: Behaviour) -> Self {
        let path = absolute(path);
        let complaint = Complaint::new(path.display().to_string());
        Self {
            path,
            behaviour,
            open: None,
            torn: false,
            astray: false,
            held: Held::default(),
            complaint,
            shared: SharedFile::default(),
        }
    }

    /// Return the absolute path: Python's `baseFilename`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Return whether the file belongs to a `RotatingFileHandler`.
    pub fn rotates(&self) -> bool {
        matches!(self.behaviour, Behaviour::Rotate(_) | Behaviour::Share(_))
    }

    /// Open the file, and create it if it is missing. Return an error if the file system does.
    pub fn open(&mut self) -> io::Result<()> {
        // With this flag a pipe without a reader is an error; it would block.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().append(true).create(true).custom_flags(flags).open(&self.path)?;
        let identity = identity(&file.metadata()?);
        self.open = Some(Open { file, identity });
        Ok(())
    }

    /// Truncate the file, as mode `w` does. Return an error if the file system does.
    pub fn empty(&mut self) -> io::Result<()> {
        match &self.open {
            // Devices and pipes cannot be truncated.
            Some(open) if open.file.metadata()?.is_file() => open.file.set_len(0),
            _ => Ok(()),
        }
    }

    /// Append one line with its newline. Lines for a file that rotates as in Python are never held back, because rotation depends on
    /// the size before each line.
    pub fn append(&mut self, line: &str) {
        if is_gathering() && !matches!(self.behaviour, Behaviour::Rotate(_)) {
            self.held.hold(line.as_bytes());
        } else {
            self.append_now(line, 1);
        }
    }

    /// Append the lines that are held back.
    pub fn write_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        if held.lines > 0 {
            self.append_now(&String::from_utf8_lossy(&held.text), held.lines);
        }
    }

    fn append_now(&mut self, line: &str, lines: u64) {
        let written = if let Behaviour::Share(rotation) = self.behaviour {
            self.append_shared(line, rotation)
        } else {
            let followed = self.follow().map_err(|error| Unwritten { error, torn: false });
            followed.and_then(|()| self.rotate_if_full(line)).and_then(|()| self.write(line))
        };
        match written {
            Ok(()) => {
                self.torn = false;
                self.complaint.worked();
            }
            Err(unwritten) => {
                self.torn |= unwritten.torn;
                self.complaint.failed(&unwritten.error, lines);
            }
        }
    }

    fn write(&self, line: &str) -> Result<(), Unwritten> {
        let Some(open) = &self.open else {
            return Err(Unwritten { error: io::ErrorKind::NotFound.into(), torn: false });
        };
        // A pipe whose reader is stuck delays one line, not each.
        let timeout = if self.complaint.lost() == 0 { PIPE_TIMEOUT } else { Duration::ZERO };
        if self.torn {
            write_whole(&open.file, format!("\n{line}").as_bytes(), Some(timeout))
        } else {
            write_whole(&open.file, line.as_bytes(), Some(timeout))
        }
    }

    /// Make sure that the open file is the one at the path.
    fn follow(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else { return self.open() };
        if self.behaviour == Behaviour::Stay {
            return Ok(());
        }
        let there = fs::metadata(&self.path).ok().map(|found| identity(&found));
        if there == Some(open.identity) {
            return Ok(());
        }
        match self.open() {
            Ok(()) => {
                (self.torn, self.astray) = (false, false);
                Ok(())
            }
            // Lines in the rotated file are better than lost lines.
            Err(error) if open_elsewhere(self.open.as_ref()) => {
                if !std::mem::replace(&mut self.astray, true) {
                    let path = self.path.display();
                    say(&format!(
                        "cannot open {path}: {error}; lines go on to the file that was moved away from there"
                    ));
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Rotate the file if the line does not fit, like Python's `shouldRollover`: the line is counted in characters, and
    /// an empty file is never rotated.
    fn rotate_if_full(&mut self, line: &str) -> Result<(), Unwritten> {
        let (Behaviour::Rotate(rotation), Some(open)) = (self.behaviour, &self.open) else { return Ok(()) };
        if rotation.max_bytes == 0 {
            return Ok(());
        }
        let rotated = match open.file.metadata() {
            Ok(found) if found.is_file() && found.len() > 0 => {
                let length = found.len() + line.chars().count() as u64;
                if length >= rotation.max_bytes { self.roll_over() } else { Ok(()) }
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        rotated.map_err(|error| Unwritten { error, torn: false })
    }

    /// Rotate the file, like Python's `doRollover`: `.1` becomes `.2` and so on, the file becomes `.1`, and a new one
    /// is opened. Return an error if the file system does; the file is opened again in any case.
    pub fn roll_over(&mut self) -> io::Result<()> {
        let rotation = match self.behaviour {
            Behaviour::Rotate(rotation) => rotation,
            Behaviour::Share(rotation) => return self.roll_over_shared(rotation, None),
            Behaviour::Stay | Behaviour::Watch => return Ok(()),
        };
        let shifted = self.shift(rotation.backup_count);
        self.torn = false;
        self.open()?;
        shifted
    }

    fn shift(&self, backup_count: u32) -> io::Result<()> {
        if backup_count == 0 {
            return Ok(());
        }
        for number in (1..backup_count).rev() {
            rename_if_there(&self.backup(number), &self.backup(number + 1))?;
        }
        // As in Python, `.1` is removed even if no file takes its place.
        remove_if_there(&self.backup(1))?;
        rename_if_there(&self.path, &self.backup(1))
    }

    fn backup(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Return whether the open file still has a name in the file system.
fn open_elsewhere(open: Option<&Open>) -> bool {
    open.is_some_and(|open| open.file.metadata().is_ok_and(|found| found.nlink() > 0))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    ignore_missing(fs::rename(from, to))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    ignore_missing(fs::remove_file(path))
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Return an absolute path, like Python's `os.path.abspath`: `.` and `..` are resolved in the text, not on the disk.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    // Without a current folder the path stays relative, and opening it reports the error.
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
