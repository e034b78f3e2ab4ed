//! The poison file: it names the message whose rule is being called, so that a rule that ends the manager is found out.
//!
//! It is written in place and never synced: a write survives `kill -9` of the process, and a power cut is not caused by a rule.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How many times a message's rule may end the manager before the message is parked.
const DEATHS: u32 = 2;

/// The length of the first line, padded, so that one write replaces all of it.
const LINE: usize = 256;

/// How many suspects are kept: more than a batch has messages.
const SUSPECTS: usize = 2_000;

/// The poison file of one manager: in the first line the message whose rule is being called, in the others
/// those whose rules were being called when a manager ended.
#[derive(Debug)]
pub struct PoisonFile {
    file: File,
    /// With how many managers in a row each has ended, oldest first. There may be several: one that is decided
    /// well is still not kept when the next one of its batch ends the manager, and comes again.
    suspects: Vec<(String, u32)>,
    /// The length of the file.
    length: usize,
}

impl PoisonFile {
    /// Open the file and find out whether the previous manager ended within a rule.
    ///
    /// # Errors
    /// When the file cannot be created, read or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        (&mut file).take((LINE * SUSPECTS) as u64).read_to_end(&mut text)?;
        let length = text.len();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines().map(str::trim);
        let current = lines.next().unwrap_or_default();
        let suspect = |line: &str| {
            let (key, deaths) = line.rsplit_once(' ')?;
            Some((key.to_owned(), deaths.parse::<u32>().ok()?))
        };
        let mut suspects: Vec<(String, u32)> = lines.filter_map(suspect).collect();
        match suspects.iter_mut().find(|(key, _)| key == current) {
            Some((_, deaths)) => *deaths = deaths.saturating_add(1),
            None if current.is_empty() => {}
            None => suspects.push((current.to_owned(), 1)),
        }
        let surplus = suspects.len().saturating_sub(SUSPECTS);
        suspects.drain(..surplus);
        let mut poison = Self { file, suspects, length };
        poison.write_suspects()?;
        poison.write("")?;
        Ok(poison)
    }

    /// Return whether the rule for this message has ended the manager too many times.
    #[must_use]
    pub fn is_poison(&self, key: &str) -> bool {
        self.suspects.iter().any(|(suspect, deaths)| *suspect == line_of(key) && *deaths >= DEATHS)
    }

    /// Record that the rule for a message is about to be called.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(&self, key: &str) -> io::Result<()> {
        self.write(&line_of(key))
    }

    /// Record that the call has returned.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn end(&mut self, key: &str) -> io::Result<()> {
        let key = line_of(key);
        if self.suspects.iter().any(|(suspect, _)| *suspect == key) {
            self.suspects.retain(|(suspect, _)| *suspect != key);
            self.write_suspects()?;
        }
        self.write("")
    }

    fn write(&self, current: &str) -> io::Result<()> {
        let mut line = vec![b' '; LINE];
        line[..current.len()].copy_from_slice(current.as_bytes());
        line[LINE - 1] = b'\n';
        self.file.write_all_at(&line, 0)
    }

    fn write_suspects(&mut self) -> io::Result<()> {
        let lines: Vec<String> =
            self.suspects.iter().map(|(key, deaths)| format!("{key} {deaths}\n")).collect();
        let mut text = lines.concat();
        // The previous content is overwritten and the file never truncated, so this is one step.
        let missing = self.length.saturating_sub(LINE + text.len());
        text.push_str(&" ".repeat(missing));
        self.file.write_all_at(text.as_bytes(), LINE as u64)?;
        self.length = LINE + text.len();
        Ok(())
    }
}

/// Return a key cut to the length of a line.
fn line_of(key: &str) -> String {
    let mut line: String = key.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    while line.len() >= LINE {
        line.pop();
    }
    line.trim().to_owned()
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
    fn a_call_that_returns_clears_it_and_another_message_begins_at_zero() {
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
    fn several_that_end_the_manager_in_turn_are_all_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poison");
        // Of one batch: what is decided before the next death comes again.
        let managers = std::iter::from_fn(|| {
            let mut poison = PoisonFile::open(&path).unwrap();
            poison.begin("good").unwrap();
            poison.end("good").unwrap();
            let next = ["a", "b", "c"].into_iter().find(|key| !poison.is_poison(key))?;
            poison.begin(next).unwrap();
            Some(next)
        });
        assert_eq!(managers.take(100).collect::<String>(), "aabbcc");
    }

    #[test]
    fn a_key_may_be_anything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poison");
        let key = format!(" a\nb{}", "\u{e9}".repeat(1_000));
        for _ in 0..2 {
            PoisonFile::open(&path).unwrap().begin(&key).unwrap();
        }
        assert!(PoisonFile::open(&path).unwrap().is_poison(&key));
    }

    #[test]
    fn an_invalid_file_does_not_prevent_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poison");
        std::fs::write(&path, [0xff; 2_000]).unwrap();
        assert!(!PoisonFile::open(&path).unwrap().is_poison("a"));
    }
}
