//! The poison file: which message's rule is being called, so that one that ends the manager is known
//! afterwards.
//!
//! It is written in place and never synced: what a write has given to the operating system survives `kill -9`,
//! and a power cut is no rule's doing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How often a message's rule may end the manager before it is not called any more.
const DEATHS: u32 = 2;

/// The length of the file: two lines, padded, so that one write replaces all of it.
const LENGTH: usize = 512;

/// The poison file of one manager.
#[derive(Debug)]
pub struct PoisonFile {
    file: File,
    /// The message whose rule was being called when a manager ended, and how many managers in a row.
    suspect: Option<(String, u32)>,
}

impl PoisonFile {
    /// Opens the file and sees whether the manager before ended within a rule.
    ///
    /// # Errors
    /// When the file can be neither made nor read nor written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        (&mut file).take(LENGTH as u64).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text.lines().map(str::trim);
        let current = lines.next().unwrap_or_default().to_owned();
        let suspect = lines.next().and_then(|line| line.rsplit_once(' '));
        let suspect = suspect.and_then(|(key, deaths)| Some((key.to_owned(), deaths.parse::<u32>().ok()?)));
        let suspect = match (current, suspect) {
            (current, suspect) if current.is_empty() => suspect,
            (current, Some((key, deaths))) if key == current => Some((key, deaths.saturating_add(1))),
            (current, _) => Some((current, 1)),
        };
        let poison = Self { file, suspect };
        poison.write("")?;
        Ok(poison)
    }

    /// Whether the rule for this message has ended the manager too often.
    #[must_use]
    pub fn is_poison(&self, key: &str) -> bool {
        self.suspect.as_ref().is_some_and(|(suspect, deaths)| suspect == key && *deaths >= DEATHS)
    }

    /// The rule for a message is about to be called.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(&self, key: &str) -> io::Result<()> {
        self.write(key)
    }

    /// The call is over.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn end(&mut self, key: &str) -> io::Result<()> {
        if self.suspect.as_ref().is_some_and(|(suspect, _)| suspect == key) {
            self.suspect = None;
        }
        self.write("")
    }

    fn write(&self, current: &str) -> io::Result<()> {
        let (suspect, deaths) =
            self.suspect.as_ref().map_or(("", 0), |(key, deaths)| (key.as_str(), *deaths));
        let text = format!("{current}\n{suspect} {deaths}\n");
        self.file.write_all_at(format!("{text:<LENGTH$}").as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_ends_the_manager_twice_is_poison() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poison");
        PoisonFile::open(&path).unwrap().begin("a").unwrap();
        let second = PoisonFile::open(&path).unwrap();
        assert!(!second.is_poison("a"));
        second.begin("a").unwrap();
        let third = PoisonFile::open(&path).unwrap();
        assert!(third.is_poison("a") && !third.is_poison("b"));
        // A restart without a call changes nothing.
        drop(third);
        assert!(PoisonFile::open(&path).unwrap().is_poison("a"));
    }

    #[test]
    fn a_call_that_ends_well_clears_it_and_another_message_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poison");
        PoisonFile::open(&path).unwrap().begin("a").unwrap();
        let mut second = PoisonFile::open(&path).unwrap();
        second.begin("a").unwrap();
        second.end("a").unwrap();
        second.begin("a").unwrap();
        assert!(
            !PoisonFile::open(&path).unwrap().is_poison("a"),
            "one death, since the call before ended well"
        );
        let third = PoisonFile::open(&path).unwrap();
        third.begin("b").unwrap();
        assert!(!PoisonFile::open(&path).unwrap().is_poison("b"));
    }

    #[test]
    fn garbage_is_no_reason_not_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poison");
        std::fs::write(&path, [0xff; 2_000]).unwrap();
        assert!(!PoisonFile::open(&path).unwrap().is_poison("a"));
    }
}
