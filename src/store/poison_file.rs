//! The poison file: it names the message that is being decoded or decided, so that one which makes the manager exit is found.
//!
//! It is written in place and never synced: a write survives the death of the process, and no message causes a power cut.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::private_folder;

/// The suspicion at which a message is poison.
const POISON: u32 = 10;

/// The suspicion against the current message when a manager exits for a reason of its own: two such exits are enough. So are
/// two while a message is decoded, whatever the reason: nothing else is done meanwhile, and two managers are hardly killed in so
/// short a time by chance.
const CERTAIN: u32 = POISON / 2;

/// The suspicion against the message that is decided when a manager is killed: its rule can have used up the memory, but it can
/// take seconds, in which the manager may be killed for any other reason. Five such exits are enough.
const UNEXPLAINED: u32 = POISON / 5;

/// The length of the first line, padded, so that one write replaces all of it.
const LINE: usize = 256;

/// The place of the mark in the first line, before its end.
const MARK: usize = LINE - 2;

/// How many suspects are kept: more than a batch has messages.
const SUSPECTS: usize = 2_000;

/// The treatment of a message by the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The bytes of the message are decoded.
    Decoding,
    /// The message is decided: its payload is merged and its rule is called.
    Deciding,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Decoding => "decoding",
            Step::Deciding => "deciding",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Step::Decoding, Step::Deciding].into_iter().find(|step| step.name() == name)
    }
}

/// A message at which managers have exited.
#[derive(Debug)]
struct Suspect {
    step: Step,
    key: String,
    suspicion: u32,
}

impl Suspect {
    fn parse(line: &str) -> Option<Self> {
        let (suspicion, rest) = line.split_once(' ')?;
        let (step, key) = rest.split_once(' ')?;
        Some(Self { step: Step::parse(step)?, key: key.to_owned(), suspicion: suspicion.parse().ok()? })
    }

    fn is(&self, step: Step, key: &str) -> bool {
        self.step == step && self.key == key
    }
}

/// The poison file of one manager: the first line names the current message, the others the suspects.
#[derive(Debug)]
pub struct PoisonFile {
    file: File,
    /// The first line as this process wrote it last, without its padding.
    current: Option<String>,
    /// Those at which managers in a row have exited, oldest first. There may be several: one that was decided comes again if
    /// the next one of its batch makes the manager exit.
    suspects: Vec<Suspect>,
    /// The length of the file.
    length: usize,
}

impl PoisonFile {
    /// Open the file and find out whether the previous manager exited while it decoded or decided a message.
    ///
    /// # Errors
    /// The file cannot be created, read or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = private_folder::open_file(path)?;
        let mut bytes = Vec::new();
        (&mut file).take((LINE * SUSPECTS) as u64).read_to_end(&mut bytes)?;
        let length = bytes.len();
        let is_marked = bytes.get(MARK).is_some_and(|mark| *mark != b' ');
        let first = String::from_utf8_lossy(&bytes[..length.min(MARK)]).into_owned();
        let others = String::from_utf8_lossy(&bytes[length.min(LINE)..]).into_owned();
        let suspects = others.lines().map(str::trim).filter_map(Suspect::parse).collect();
        let mut poison = Self { file, current: None, suspects, length };
        if let Some((step, key)) = first.trim().split_once(' ')
            && let Some(step) = Step::parse(step)
        {
            poison.suspect(step, key, is_marked);
        }
        poison.write_suspects()?;
        poison.write_current("")?;
        Ok(poison)
    }

    fn suspect(&mut self, step: Step, key: &str, is_marked: bool) {
        let more = if is_marked || step == Step::Decoding { CERTAIN } else { UNEXPLAINED };
        match self.suspects.iter_mut().find(|suspect| suspect.is(step, key)) {
            // Beyond the limit only if the manager exited although the message was known as poison.
            Some(suspect) if suspect.suspicion >= POISON => suspect.suspicion = POISON + 1,
            Some(suspect) => suspect.suspicion = POISON.min(suspect.suspicion + more),
            None => self.suspects.push(Suspect { step, key: key.to_owned(), suspicion: more }),
        }
        let surplus = self.suspects.len().saturating_sub(SUSPECTS);
        self.suspects.drain(..surplus);
    }

    fn suspicion(&self, step: Step, key: &str) -> u32 {
        if self.suspects.is_empty() {
            return 0;
        }
        let key = line_of(key);
        self.suspects.iter().find(|suspect| suspect.is(step, &key)).map_or(0, |suspect| suspect.suspicion)
    }

    /// Return whether a step with this message has made managers exit.
    #[must_use]
    pub fn is_poison(&self, step: Step, key: &str) -> bool {
        self.suspicion(step, key) >= POISON
    }

    /// Return whether a manager exited at this step although it knew the message as poison.
    #[must_use]
    pub fn is_worse(&self, step: Step, key: &str) -> bool {
        self.suspicion(step, key) > POISON
    }

    /// Record that a step with a message begins.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(&mut self, step: Step, key: &str) -> io::Result<()> {
        self.write_current(&format!("{} {}", step.name(), line_of(key)))
    }

    /// Record that no message is decoded or decided.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&mut self) -> io::Result<()> {
        self.write_current("")
    }

    /// Record that both steps with a message were finished. Poison stays what it is until the journal has it as parked.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn acquit(&mut self, step: Step, key: &str) -> io::Result<()> {
        if !(1..POISON).contains(&self.suspicion(step, key)) {
            return Ok(());
        }
        let key = line_of(key).into_owned();
        self.suspects.retain(|suspect| !suspect.is(step, &key));
        self.write_suspects()
    }

    /// Return a handle for a signal handler: the first byte that it writes marks the current message as the reason why the
    /// manager exits.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn mark_handle(path: &Path) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(MARK as u64))?;
        Ok(file)
    }

    fn write_current(&mut self, current: &str) -> io::Result<()> {
        if self.current.as_deref() == Some(current) {
            return Ok(());
        }
        let mut line = [b' '; LINE];
        line[..current.len()].copy_from_slice(current.as_bytes());
        line[LINE - 1] = b'\n';
        self.file.write_all_at(&line, 0)?;
        self.current = Some(current.to_owned());
        Ok(())
    }

    fn write_suspects(&mut self) -> io::Result<()> {
        let lines: Vec<String> = self
            .suspects
            .iter()
            .map(|Suspect { step, key, suspicion }| format!("{suspicion} {} {key}\n", step.name()))
            .collect();
        let mut text = lines.concat();
        // The previous content is overwritten and the file never truncated, so this is one step.
        let missing = self.length.saturating_sub(LINE + text.len());
        text.push_str(&" ".repeat(missing));
        self.file.write_all_at(text.as_bytes(), LINE as u64)?;
        self.length = LINE + text.len();
        Ok(())
    }
}

impl Drop for PoisonFile {
    fn drop(&mut self) {
        // A panic exits in an orderly way, but the current message may be the reason.
        if std::thread::panicking() {
            let _ = self.file.write_all_at(b"X", MARK as u64);
        }
    }
}

/// Return a key cut to the room in the first line.
fn line_of(key: &str) -> Cow<'_, str> {
    /// Bytes of a step's name and the space behind it.
    const STEP: usize = 9;
    let is_fit = key.len() + STEP <= MARK && key.trim().len() == key.len() && !key.contains(char::is_control);
    if is_fit {
        return Cow::Borrowed(key);
    }
    let mut line = key.replace(char::is_control, " ");
    while line.len() + STEP > MARK {
        line.pop();
    }
    Cow::Owned(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Step::{Deciding, Decoding};
    use super::*;

    /// The folder of a poison file, and its path.
    fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poison");
        (folder, path)
    }

    /// A manager is killed at a message.
    fn killed_at(path: &Path, step: Step, key: &str) {
        PoisonFile::open(path).unwrap().begin(step, key).unwrap();
    }

    /// A manager aborts at a message.
    fn aborts_at(path: &Path, step: Step, key: &str) {
        let mut poison = PoisonFile::open(path).unwrap();
        poison.begin(step, key).unwrap();
        PoisonFile::mark_handle(path).unwrap().write_all(b"X").unwrap();
    }

    fn is_poison(path: &Path, step: Step, key: &str) -> bool {
        PoisonFile::open(path).unwrap().is_poison(step, key)
    }

    #[test]
    fn a_manager_that_is_killed_between_messages_suspects_none() {
        let (_folder, path) = folder();
        for _ in 0..5 {
            let mut poison = PoisonFile::open(&path).unwrap();
            poison.begin(Deciding, "a").unwrap();
            poison.clear().unwrap();
        }
        assert!(!is_poison(&path, Deciding, "a"));
    }

    #[test]
    fn two_managers_that_abort_or_five_that_are_killed_make_poison() {
        for (exits_at, count) in [(aborts_at as fn(&Path, Step, &str), 2), (killed_at, 5)] {
            let (_folder, path) = folder();
            for _ in 0..count {
                assert!(!is_poison(&path, Deciding, "a"));
                exits_at(&path, Deciding, "a");
            }
            assert!(is_poison(&path, Deciding, "a"));
            assert!(!is_poison(&path, Deciding, "b") && !is_poison(&path, Decoding, "a"));
            // A restart without a message changes nothing.
            assert!(is_poison(&path, Deciding, "a"));
        }
    }

    #[test]
    fn two_managers_that_are_killed_while_they_decode_a_message_make_poison() {
        let (_folder, path) = folder();
        killed_at(&path, Decoding, "a");
        assert!(!is_poison(&path, Decoding, "a"));
        // The same message, decoded by the next manager, does not acquit itself.
        let mut second = PoisonFile::open(&path).unwrap();
        second.begin(Decoding, "b").unwrap();
        second.begin(Decoding, "a").unwrap();
        drop(second);
        assert!(is_poison(&path, Decoding, "a") && !is_poison(&path, Decoding, "b"));
    }

    #[test]
    fn a_panic_counts_as_an_abort() {
        let (_folder, path) = folder();
        for _ in 0..2 {
            let path = path.clone();
            let manager = std::thread::spawn(move || {
                let mut poison = PoisonFile::open(&path).unwrap();
                poison.begin(Deciding, "a").unwrap();
                panic!("at a message");
            });
            manager.join().unwrap_err();
        }
        assert!(is_poison(&path, Deciding, "a"));
    }

    #[test]
    fn poison_gets_worse_only_at_a_manager_that_knew_it() {
        let (_folder, path) = folder();
        for _ in 0..4 {
            killed_at(&path, Deciding, "a");
        }
        aborts_at(&path, Deciding, "a");
        let mut knows = PoisonFile::open(&path).unwrap();
        assert!(knows.is_poison(Deciding, "a") && !knows.is_worse(Deciding, "a"));
        knows.begin(Deciding, "a").unwrap();
        drop(knows);
        assert!(PoisonFile::open(&path).unwrap().is_worse(Deciding, "a"));
    }

    #[test]
    fn a_message_that_is_decided_begins_at_zero_again() {
        let (_folder, path) = folder();
        aborts_at(&path, Deciding, "a");
        let mut second = PoisonFile::open(&path).unwrap();
        second.begin(Deciding, "a").unwrap();
        second.acquit(Deciding, "a").unwrap();
        second.clear().unwrap();
        drop(second);
        aborts_at(&path, Deciding, "a");
        assert!(!is_poison(&path, Deciding, "a"), "one exit, since the message was decided before");
        aborts_at(&path, Deciding, "b");
        assert!(!is_poison(&path, Deciding, "b"));
    }

    #[test]
    fn poison_is_not_acquitted() {
        let (_folder, path) = folder();
        for _ in 0..2 {
            aborts_at(&path, Deciding, "a");
        }
        let mut third = PoisonFile::open(&path).unwrap();
        third.acquit(Deciding, "a").unwrap();
        assert!(third.is_poison(Deciding, "a"));
    }

    #[test]
    fn several_that_make_managers_exit_in_turn_are_all_found() {
        let (_folder, path) = folder();
        // Of one batch: what is decided before the next exit comes again.
        let managers = std::iter::from_fn(|| {
            let mut poison = PoisonFile::open(&path).unwrap();
            poison.begin(Deciding, "good").unwrap();
            poison.acquit(Deciding, "good").unwrap();
            let next = ["a", "b", "c"].into_iter().find(|key| !poison.is_poison(Deciding, key))?;
            poison.begin(Deciding, next).unwrap();
            PoisonFile::mark_handle(&path).unwrap().write_all(b"X").unwrap();
            Some(next)
        });
        assert_eq!(managers.take(100).collect::<String>(), "aabbcc");
    }

    #[test]
    fn a_key_may_be_anything() {
        let (_folder, path) = folder();
        let key = format!(" a\nb{}", "\u{e9}".repeat(1_000));
        for _ in 0..2 {
            aborts_at(&path, Deciding, &key);
        }
        assert!(is_poison(&path, Deciding, &key));
    }

    #[test]
    fn an_invalid_file_does_not_prevent_a_start() {
        let (_folder, path) = folder();
        std::fs::write(&path, [0xff; 2_000]).unwrap();
        assert!(!is_poison(&path, Deciding, "a"));
        std::fs::write(&path, "17.4\na 1\n").unwrap();
        assert!(!is_poison(&path, Deciding, "a"), "a file of an earlier version");
    }
}
