//! Rotates a log file that several programs write: one of them rotates it, the others follow.
//!
//! Each line is written under a shared lock (flock(2)) of the file that is at the path then, and a rotation holds the exclusive one. So a
//! line goes to a file that is kept, whatever happens at that moment. A program that is killed loses its lock. One that is
//! stopped with its lock never stops the others for longer than [`LOCK_TIMEOUT`].

use std::fs::{self, File, TryLockError};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::{LogFile, Rotation, identity, rename_if_there};
use crate::output::{Unwritten, say};

/// The time limit for another program to rotate. Then lines go on to the file that is open.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause between attempts to lock a file.
const PAUSE: Duration = Duration::from_millis(1);

/// The pause after a rotation that failed, or found a file locked by a program that is stopped.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// What a program knows of a file that it shares with others.
#[derive(Debug, Default)]
pub(super) struct SharedFile {
    /// When a rotation is attempted again after one that failed.
    retry_at: Option<Instant>,
    /// Whether a failure was reported.
    is_reported: bool,
}

impl LogFile {
    /// Append a line, and rotate the file first if the line does not fit.
    pub(super) fn append_shared(&mut self, line: &str, rotation: Rotation) -> Result<(), Unwritten> {
        let failed = |error| Unwritten { error, torn: false };
        if self.is_full(line, rotation) && self.shared.retry_at.is_none_or(|at| at <= Instant::now()) {
            let rotated = self.roll_over_shared(rotation, Some(line));
            self.note_rotation(rotated);
        }
        let is_locked = self.lock_shared().map_err(failed)?;
        let written = self.write(line);
        if is_locked && let Some(open) = &self.open {
            let _ = open.file.unlock();
        }
        written
    }

    /// Whether the file at the path is not empty, and has no room for a line.
    fn is_full(&self, line: &str, rotation: Rotation) -> bool {
        let has_no_room = |found: fs::Metadata| {
            found.is_file() && found.len() > 0 && found.len() + line.len() as u64 > rotation.max_bytes
        };
        rotation.max_bytes > 0 && rotation.backup_count > 0 && fs::metadata(&self.path).is_ok_and(has_no_room)
    }

    /// Lock the file at the path against rotation. Return false if that takes too long, or if such a file cannot be locked.
    fn lock_shared(&mut self) -> io::Result<bool> {
        let end = Instant::now() + LOCK_TIMEOUT;
        loop {
            self.follow()?;
            let Some(open) = &self.open else { return Ok(false) };
            match open.file.try_lock_shared() {
                Ok(()) if self.astray || self.is_at_path(&open.file) => return Ok(true),
                // It was rotated between the look and the lock.
                Ok(()) => _ = open.file.unlock(),
                Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(PAUSE),
                Err(_) => return Ok(false),
            }
        }
    }

    fn is_at_path(&self, file: &File) -> bool {
        let there = fs::metadata(&self.path).map(|found| identity(&found));
        matches!((there, file.metadata()), (Ok(there), Ok(found)) if there == identity(&found))
    }

    /// Rotate the file, unless another program has just done so; with a line, only if that does not fit. The file is opened again in any
    /// case.
    pub(super) fn roll_over_shared(&mut self, rotation: Rotation, line: Option<&str>) -> io::Result<()> {
        self.follow()?;
        let Some(open) = &self.open else { return Ok(()) };
        match open.file.try_lock() {
            Ok(()) => {}
            // Another program rotates, or writes a line at this moment.
            Err(TryLockError::WouldBlock) => return self.wait_for_lock(rotation, line),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        self.roll_over_locked(rotation, line)
    }

    fn wait_for_lock(&mut self, rotation: Rotation, line: Option<&str>) -> io::Result<()> {
        let end = Instant::now() + LOCK_TIMEOUT;
        while Instant::now() < end {
            thread::sleep(PAUSE);
            let Some(open) = &self.open else { return Ok(()) };
            if !self.is_at_path(&open.file) {
                return self.follow();
            }
            if open.file.try_lock().is_ok() {
                return self.roll_over_locked(rotation, line);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "another program holds the file locked"))
    }

    /// Rotate the file, whose lock this program has.
    fn roll_over_locked(&mut self, rotation: Rotation, line: Option<&str>) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        // Another program may have rotated it before this one had the lock.
        let is_due = self.is_at_path(&open.file) && line.is_none_or(|line| self.is_full(line, rotation));
        let shifted = if is_due { self.shift_safely(rotation.backup_count) } else { Ok(()) };
        let permissions = open.file.metadata().map(|found| found.permissions());
        let _ = open.file.unlock();
        shifted?;
        self.follow()?;
        if let (Some(open), Ok(permissions)) = (&self.open, permissions) {
            let _ = open.file.set_permissions(permissions);
        }
        Ok(())
    }

    /// Rename the file to `.1`, and earlier ones so that they make room. A gap that a killed program left in their numbers is used
    /// first, so that none is replaced before it is the oldest.
    fn shift_safely(&self, backup_count: u32) -> io::Result<()> {
        let gap = (1..backup_count).find(|number| !self.backup(*number).exists()).unwrap_or(backup_count);
        for number in (1..gap).rev() {
            rename_if_there(&self.backup(number), &self.backup(number + 1))?;
        }
        rename_if_there(&self.path, &self.backup(1))
    }

    /// Report a rotation that failed, once. The file grows until one succeeds.
    fn note_rotation(&mut self, rotated: io::Result<()>) {
        match rotated {
            Ok(()) => self.shared = SharedFile::default(),
            Err(error) => {
                self.shared.retry_at = Some(Instant::now() + RETRY_INTERVAL);
                if !std::mem::replace(&mut self.shared.is_reported, true) {
                    let path = self.path.display();
                    say(&format!("cannot rotate {path}: {error}; it grows until that works"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Behaviour;
    use super::*;

    const LIMIT: Rotation = Rotation { max_bytes: 30, backup_count: 4 };

    fn shared(path: &Path) -> LogFile {
        LogFile::new(path, Behaviour::Share(LIMIT))
    }

    fn texts(path: &Path) -> Vec<Option<String>> {
        let numbered = |number: u32| path.with_extension(format!("log.{number}"));
        let files = std::iter::once(path.to_owned()).chain((1..=5).map(numbered));
        files.map(|file| fs::read_to_string(file).ok()).collect()
    }

    #[test]
    fn the_writer_whose_line_does_not_fit_rotates_and_the_other_one_follows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let (mut one, mut other) = (shared(&path), shared(&path));
        one.append("the first line of one\n");
        other.append("other\n");
        one.append("the second line of one\n");
        other.append("again\n");
        assert_eq!(
            texts(&path)[..3],
            [
                Some("the second line of one\nagain\n".into()),
                Some("the first line of one\nother\n".into()),
                None
            ]
        );
    }

    #[test]
    fn each_step_of_a_rotation_can_be_the_last_one() {
        let long = "a line that fills the whole file\n";
        // The files that a program leaves which is killed after so many renames.
        for steps in 0..=4 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.log");
            let name = |number: u32| path.with_extension(format!("log.{number}"));
            fs::write(&path, long).unwrap();
            (1..4).for_each(|number| fs::write(name(number), format!("{number}\n")).unwrap());
            let renames =
                [(name(3), name(4)), (name(2), name(3)), (name(1), name(2)), (path.clone(), name(1))];
            renames.iter().take(steps).for_each(|(from, to)| fs::rename(from, to).unwrap());

            shared(&path).append("next\n");
            let all: Vec<String> = texts(&path).into_iter().flatten().collect();
            assert_eq!(all, ["next\n", long, "1\n", "2\n", "3\n"], "after {steps} renames");
        }
    }

    #[test]
    fn a_program_that_is_stopped_with_its_lock_stops_no_other_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut file = shared(&path);
        file.append("a line that fills the whole file\n");
        let rotating = File::open(&path).unwrap();
        rotating.lock().unwrap();
        file.append("written in any case\n");
        assert!(texts(&path)[0].as_ref().unwrap().ends_with("written in any case\n"));
        rotating.unlock().unwrap();
        file.shared.retry_at = None;
        file.append("after it\n");
        assert_eq!(texts(&path)[0].as_deref(), Some("after it\n"));
    }

    #[test]
    fn a_file_that_cannot_be_rotated_gets_the_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut file = shared(&path);
        file.append("a line that fills the whole file\n");
        for number in 1..5 {
            fs::create_dir_all(path.with_extension(format!("log.{number}")).join("full")).unwrap();
        }
        file.append("written in any case\n");
        assert!(texts(&path)[0].as_ref().unwrap().ends_with("written in any case\n"));
        assert!(file.shared.is_reported);
    }
}
