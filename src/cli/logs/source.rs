//! [`LogSource`]: a log file with the files that rotation has made of it. It reads them and changes nothing.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::entry::{Assembler, Entry, Filter};
use pylogging::ConfiguredFile;

/// Entries that are read before and after an event, at most: no one reads more of them.
const AROUND: SignedDuration = SignedDuration::from_hours(24);

/// A log file that is followed.
#[derive(Debug)]
struct FollowedFile {
    reader: BufReader<File>,
    /// Its inode, by which it is found after it was renamed.
    inode: u64,
    /// The beginning of a line whose end has not been written.
    part: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct LogSource {
    file: ConfiguredFile,
    followed: Option<FollowedFile>,
    assembler: Assembler,
}

impl LogSource {
    pub(super) fn new(file: ConfiguredFile) -> Self {
        Self { file, followed: None, assembler: Assembler::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    /// Return the file and its rotated ones, the newest first.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let folder = self.path().parent().unwrap_or(Path::new("/"));
        let name = self.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rotated = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|found| {
            let found = found.file_name().to_string_lossy().into_owned();
            Age::of(found.strip_prefix(&name)?.strip_prefix('.')?).map(|age| (age, folder.join(&found)))
        });
        let mut rotated: Vec<(Age, PathBuf)> = rotated.collect();
        rotated.sort();
        let current = self.path().exists().then(|| self.path().to_owned());
        current.into_iter().chain(rotated.into_iter().map(|(_, path)| path)).collect()
    }

    /// Return the entries that the filter shows; the last ones, if a number is given. Following begins where this ends.
    pub(super) fn read(&mut self, filter: &Filter, last: Option<usize>) -> anyhow::Result<Vec<Entry>> {
        let mut all = VecDeque::new();
        for (number, path) in self.files().into_iter().enumerate() {
            // The first one is read in any case: following begins at its end.
            if number > 0 && (last.is_some_and(|last| all.len() >= last) || is_older(&path, filter.since)) {
                break;
            }
            let opened = File::open(&path);
            let file = match opened {
                // It was rotated away at this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.with_context(|| format!("cannot read {}", path.display()))?,
            };
            let mut followed = FollowedFile::new(file)?;
            let mut assembler = Assembler::default();
            let mut entries = followed.entries(&mut assembler, &self.file)?;
            if number == 0 {
                (self.followed, self.assembler) = (Some(followed), Assembler::default());
            }
            entries.extend(assembler.finish());
            entries.retain(|entry| filter.shows(&entry.head));
            for entry in entries.into_iter().rev() {
                all.push_front(entry);
            }
        }
        Ok(all.into())
    }

    /// Return the entries within a day of a moment.
    pub(super) fn around(&self, filter: &Filter, time: Timestamp) -> anyhow::Result<Vec<Entry>> {
        let since = time.checked_sub(AROUND).ok();
        let until = time.checked_add(AROUND).ok();
        LogSource::new(self.file.clone()).read(&Filter { since, until, ..filter.clone() }, None)
    }

    /// Return the entries that have been written since the last call. An entry is returned when the next one begins, or at the call after
    /// its last line.
    pub(super) fn further(&mut self) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let Some(followed) = &mut self.followed else {
            if let Ok(file) = File::open(self.path()) {
                self.followed = Some(FollowedFile::new(file)?);
            }
            return Ok(entries);
        };
        entries.extend(followed.entries(&mut self.assembler, &self.file)?);
        if inode_at(&self.file.path) != Some(followed.inode) {
            // What was written before it was rotated.
            entries.extend(followed.entries(&mut self.assembler, &self.file)?);
            for path in newer_than(followed.inode, &self.files()) {
                let Ok(file) = File::open(path) else { continue };
                let mut next = FollowedFile::new(file)?;
                entries.extend(next.entries(&mut self.assembler, &self.file)?);
                self.followed = Some(next);
            }
        } else if entries.is_empty() {
            entries.extend(self.assembler.finish());
        }
        Ok(entries)
    }
}

impl FollowedFile {
    fn new(file: File) -> io::Result<Self> {
        let inode = file.metadata()?.ino();
        Ok(Self { reader: BufReader::new(file), inode, part: Vec::new() })
    }

    /// Read the lines that are complete. Return the entries that have ended with them.
    fn entries(&mut self, assembler: &mut Assembler, file: &ConfiguredFile) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        while self.reader.read_until(b'\n', &mut self.part)? > 0 && self.part.ends_with(b"\n") {
            let line = String::from_utf8_lossy(&self.part);
            entries.extend(assembler.push(line.trim_end_matches('\n'), file));
            self.part.clear();
        }
        Ok(entries)
    }
}

/// The order of rotated files: by number the lowest is the newest, by date the latest.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Number(u32),
    Date(std::cmp::Reverse<String>),
}

impl Age {
    /// Read what stands behind the name of a log file; `None` for what is not a rotated one.
    fn of(suffix: &str) -> Option<Self> {
        if let Ok(number) = suffix.parse() {
            return Some(Self::Number(number));
        }
        let is_date = |letter: char| letter.is_ascii_digit() || "-_".contains(letter);
        let begins_with_year = suffix.len() >= 10 && suffix.bytes().take(4).all(|byte| byte.is_ascii_digit());
        (begins_with_year && suffix.chars().all(is_date))
            .then(|| Self::Date(std::cmp::Reverse(suffix.to_owned())))
    }
}

/// Whether the last line of a file is older than a moment.
fn is_older(path: &Path, since: Option<Timestamp>) -> bool {
    let changed = || Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok();
    since.is_some_and(|since| changed().is_some_and(|changed| changed < since))
}

fn inode_at(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.ino())
}

/// Return the files that were begun after the one with that inode, the oldest first. If that is gone, only the newest is known.
fn newer_than(inode: u64, files: &[PathBuf]) -> Vec<PathBuf> {
    let at = files.iter().position(|path| inode_at(path) == Some(inode)).unwrap_or(1);
    files[..at.min(files.len())].iter().rev().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rotated_files_are_found_and_they_are_ordered() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "a.log",
            "a.log.10",
            "a.log.2",
            "a.log.1",
            "a.log.gz",
            "a.log.1.gz",
            "b.log.1",
            "a.log.2026-03-14",
            "a.log.2026-03-15_06-00-00",
        ];
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let section = format!(
            "{{version: 1, handlers: {{f: {{class: logging.FileHandler, filename: {}/a.log}}}}, root: {{handlers: [f]}}}}",
            folder.path().display()
        );
        let file = ConfiguredFile::all(&pyyaml::read(&section).unwrap()).unwrap().remove(0);
        let files = LogSource::new(file).files();
        let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            ["a.log", "a.log.1", "a.log.2", "a.log.10", "a.log.2026-03-15_06-00-00", "a.log.2026-03-14"]
        );
    }
}
