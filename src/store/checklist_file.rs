//! The checklist file: NEMO_Nowcast's YAML file, always complete.
//!
//! It is written to a temporary file and renamed, so a reader finds the old or the new one, also after a crash. A file that another
//! program puts in its place is never overwritten without a copy.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::checklist_note::ChecklistNote;
use super::seal::Seal;
use crate::config::{copy_regular, read_regular_up_to};
use crate::failpoint;
use nowcast_core::Number;
use pyyaml::{Keys, Map, Value};

/// Bytes above which the file is written beside the loop instead of in it.
const LARGE: usize = 1_000_000;

/// The most bytes of a file that is read. Read whole, a larger one could take all memory.
const MAX_SIZE: u64 = 1 << 30;

/// How long a small file waits for more changes, unless a launched worker may read it.
const GATHER: Duration = Duration::from_millis(20);

/// How long after a change the writing of a large file begins at the latest.
const DELAY: Duration = Duration::from_millis(250);

/// How long the thread that writes a large file is left alone before it is asked whether it is done.
const ASK_INTERVAL: Duration = Duration::from_millis(10);

/// The most copies of one kind that are kept.
const MAX_COPIES: u32 = 10_000;

/// How long after a failed write the next one is tried.
const RETRY: Duration = Duration::from_secs(1);

/// The checklist file of one manager.
#[derive(Debug)]
pub struct ChecklistFile {
    path: PathBuf,
    note: ChecklistNote,
    /// The event after which this manager or an earlier one wrote the file last.
    written: Option<Number>,
    /// The file as this manager read or wrote it last.
    known: Option<FileStamp>,
    /// The copy of a file that was in the way of a write.
    copy: Option<PathBuf>,
    last_size: usize,
    writer: Option<Writer>,
    /// When the next write is due.
    due: Option<Instant>,
    /// When to ask the thread again how its write ended; `None` while it has nothing to do.
    ask: Option<Instant>,
    failing: bool,
}

/// The checklist as it was after an event.
pub type Snapshot = (Number, Value);

/// Device, inode, time of the last change and size of a file: one of them changes when a program changes the file.
pub(super) type FileStamp = (u64, u64, i64, i64, u64);

fn is_too_large(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > MAX_SIZE)
}

fn stamp(file: &fs::Metadata) -> FileStamp {
    (file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.len())
}

/// A finished write.
#[derive(Debug, Clone, Copy)]
struct WrittenFile {
    event: Number,
    size: usize,
    stamp: FileStamp,
}

/// The content of the file.
#[derive(Debug)]
pub struct ChecklistFileContent {
    /// The checklist.
    pub entries: Map,
    /// Its first line; `None` if another program wrote it.
    pub seal: Option<Seal>,
    /// It is unchanged, but was written before the one that the manager wrote last: it was restored from a backup.
    pub is_restored: bool,
}

/// A change in whether the file can be written.
#[derive(Debug)]
pub enum WriteState {
    /// Writing began to fail; it is retried every second.
    Failed(io::Error),
    /// Writing works again.
    Recovered,
}

/// The reason why no checklist was read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file any more.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// There never was such a file.
    #[error("there is no file {} yet", .0.display())]
    NeverWritten(PathBuf),
    /// It is not a checklist, and it could not be set aside.
    #[error("{} is not a checklist: {problem}; and it cannot be renamed: {error}", path.display())]
    Stuck {
        /// The file.
        path: PathBuf,
        /// The error in it.
        problem: String,
        /// Why it stays where it is.
        error: io::Error,
    },
    /// It is not a checklist and was set aside.
    #[error("{} is not a checklist: {problem}; it is kept as {}", path.display(), kept.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error in it.
        problem: String,
        /// Where it is now.
        kept: PathBuf,
    },
}

impl ChecklistFile {
    /// The file at that path, which need not exist. `note` is a file of the manager's own: it shows later
    /// whether a file that is missing was removed, or a manager was killed before it could write the first one.
    #[must_use]
    pub fn new(path: PathBuf, note: PathBuf) -> Self {
        let mut file = Self {
            path,
            note: ChecklistNote::new(note),
            written: None,
            known: None,
            copy: None,
            last_size: 0,
            writer: None,
            due: None,
            ask: None,
            failing: false,
        };
        file.written = file.note_of_this().and_then(|(_, event)| event);
        file
    }

    /// Return the note if it names this file, with the event after which the file was written.
    fn note_of_this(&self) -> Option<(PathBuf, Option<Number>)> {
        self.note.read().filter(|(path, _)| *path == self.path)
    }

    fn take_note(&mut self, event: Number) {
        self.written = Some(event);
        // Without the note, a file that is removed is written again.
        let _ = self.note.write(&self.path, event);
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Read it. A file without a checklist is set aside under another name, for a person to
    /// look at, so that the next write does not destroy it.
    ///
    /// # Errors
    /// If it has no checklist.
    pub fn load(&mut self) -> Result<ChecklistFileContent, LoadError> {
        // Before it is read, so that a change meanwhile is noticed by the next write.
        self.accept();
        let problem = match read_regular_up_to(&self.path, MAX_SIZE) {
            Ok(bytes) => {
                self.last_size = bytes.len();
                self.take_note(self.written.unwrap_or_default());
                match pyyaml::read_own(&bytes) {
                    Ok(Value::Map(map)) => {
                        let seal = Seal::read(&bytes);
                        return Ok(ChecklistFileContent {
                            entries: (*map).clone(),
                            is_restored: seal.is_some_and(|seal| seal.is_whole && self.is_older(seal)),
                            seal,
                        });
                    }
                    Ok(Value::Null) => "it is empty".to_owned(),
                    Ok(other) => format!("it holds {}", other.kind()),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let kind =
                    if self.note_of_this().is_some() { LoadError::Missing } else { LoadError::NeverWritten };
                return Err(kind(self.path.clone()));
            }
            Err(error) => error.to_string(),
        };
        match self.set_aside() {
            Ok(kept) => Err(LoadError::Damaged { path: self.path.clone(), problem, kept }),
            Err(error) => Err(LoadError::Stuck { path: self.path.clone(), problem, error }),
        }
    }

    /// Accept the file as it is: the next write replaces it.
    pub fn accept(&mut self) {
        self.known = fs::metadata(&self.path).ok().as_ref().map(stamp);
    }

    fn is_older(&self, seal: Seal) -> bool {
        self.written.is_some_and(|written| seal.event < written)
    }

    /// Whether the file is there and is not as the manager wrote it last.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        let is_changed = |seal: Seal| !seal.is_whole || self.is_older(seal);
        is_too_large(&self.path)
            || read_regular_up_to(&self.path, MAX_SIZE)
                .is_ok_and(|bytes| Seal::read(&bytes).is_none_or(is_changed))
    }

    /// Return the first free name for a copy of a kind.
    fn free_name(&self, kind: &str) -> io::Result<PathBuf> {
        for number in 1..=MAX_COPIES {
            let name = with_suffix(&self.path, &format!(".{kind}-{number}"));
            if !name.try_exists()? {
                return Ok(name);
            }
        }
        Err(io::Error::other(format!("there are {MAX_COPIES} files .{kind}-N already; remove some")))
    }

    /// Rename the file, which is not a checklist.
    fn set_aside(&self) -> io::Result<PathBuf> {
        self.rename_as("damaged")
    }

    fn rename_as(&self, kind: &str) -> io::Result<PathBuf> {
        let kept = self.free_name(kind)?;
        fs::rename(&self.path, &kept)?;
        Ok(kept)
    }

    /// Copy the file, which was restored from a backup and is not used.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn copy_restored(&self) -> io::Result<PathBuf> {
        self.copy_as("restored")
    }

    fn copy_as(&self, kind: &str) -> io::Result<PathBuf> {
        let copy = self.free_name(kind)?;
        copy_regular(&self.path, &copy)?;
        Ok(copy)
    }

    /// Copy the file if another program has changed it since it was read or written: the next write replaces it.
    fn copy_changed(&mut self) -> io::Result<()> {
        let found = match fs::metadata(&self.path) {
            Ok(found) => stamp(&found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let is_as_written = |seal: Seal| seal.is_whole && Some(seal.event) == self.written;
        if Some(found) != self.known
            // It may have been touched only.
            && !read_regular_up_to(&self.path, MAX_SIZE).is_ok_and(|bytes| Seal::read(&bytes).is_some_and(is_as_written))
        {
            // A copy could fill the disk.
            let keep = if is_too_large(&self.path) { Self::rename_as } else { Self::copy_as };
            self.copy = Some(keep(self, "changed")?);
            self.known = Some(found);
        }
        Ok(())
    }

    /// Take the name of a copy that was made of a file in the way of a write.
    pub fn take_copy(&mut self) -> Option<PathBuf> {
        self.copy.take()
    }

    /// Note that the checklist changed at `now`. The file is written a little later, by
    /// [`ChecklistFile::write_if_due`], so that many changes make one write.
    pub fn mark_changed(&mut self, now: Instant) {
        let delay = if self.is_large() { DELAY } else { GATHER };
        self.due.get_or_insert(now + delay);
    }

    /// Note that a launched worker may read the file: the next [`ChecklistFile::write_if_due`] writes it, or begins to.
    pub fn make_due(&mut self, now: Instant) {
        if !self.failing {
            self.due = self.due.map(|due| due.min(now));
        }
    }

    /// Whether the file includes the changes up to an event, as far as it can be written.
    #[must_use]
    pub fn includes(&self, event: Number) -> bool {
        let is_complete = self.due.is_none() && self.ask.is_none();
        is_complete || self.failing || self.written.is_some_and(|written| written >= event)
    }

    /// When the next [`ChecklistFile::write_if_due`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        // The next write waits until the thread is done.
        self.ask.or(self.due)
    }

    /// Write the file if that is due; a large one in a thread of its own, one write at a time. Return when
    /// writing begins to fail or works again.
    pub fn write_if_due(&mut self, checklist: impl FnOnce() -> Snapshot, now: Instant) -> Option<WriteState> {
        let result = self.result_of_thread(now);
        let mut state = result.and_then(|result| self.note(result, now));
        if self.ask.is_none() && self.due.is_some_and(|due| due <= now) {
            self.due = None;
            let result = match self.copy_changed() {
                Ok(()) if self.is_large() => self.send_to_writer(checklist(), now).err().map(Err),
                Ok(()) => Some(replace(&self.path, &checklist())),
                Err(error) => Some(Err(error)),
            };
            state = result.and_then(|result| self.note(result, now)).or(state);
        }
        state
    }

    /// Write pending changes now. A failed write stays due.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self, checklist: impl FnOnce() -> Snapshot, now: Instant) -> io::Result<()> {
        self.ask = None;
        let result = self.writer.take().map_or(Ok(None), Writer::finish);
        let is_failed = result.is_err();
        if let Ok(Some(written)) = result {
            self.note_written(written);
        }
        if self.due.take().is_none() && !is_failed {
            return Ok(());
        }
        match self.copy_changed().and_then(|()| replace(&self.path, &checklist())) {
            Ok(written) => self.note_written(written),
            Err(error) => {
                self.due = Some(now + RETRY);
                return Err(error);
            }
        }
        Ok(())
    }

    fn note_written(&mut self, written: WrittenFile) {
        self.last_size = written.size;
        self.known = Some(written.stamp);
        self.take_note(written.event);
    }

    fn is_large(&self) -> bool {
        self.last_size > LARGE
    }

    fn note(&mut self, result: io::Result<WrittenFile>, now: Instant) -> Option<WriteState> {
        let failed_before = std::mem::replace(&mut self.failing, result.is_err());
        match result {
            Ok(written) => {
                self.note_written(written);
                failed_before.then_some(WriteState::Recovered)
            }
            Err(error) => {
                self.due.get_or_insert(now + RETRY);
                (!failed_before).then_some(WriteState::Failed(error))
            }
        }
    }

    fn send_to_writer(&mut self, checklist: Snapshot, now: Instant) -> io::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::start(self.path.clone())?),
        };
        writer.work.send(checklist).map_err(|_| io::Error::other("the thread that writes it has ended"))?;
        self.ask = Some(now + ASK_INTERVAL);
        Ok(())
    }

    /// Return the result of the thread's write, if it has ended.
    fn result_of_thread(&mut self, now: Instant) -> Option<io::Result<WrittenFile>> {
        self.ask?;
        let result = self.writer.as_ref().and_then(|writer| writer.results.try_recv().ok());
        self.ask = if result.is_none() { Some(now + ASK_INTERVAL) } else { None };
        result
    }
}

/// The thread that writes large checklists.
#[derive(Debug)]
struct Writer {
    work: Sender<Snapshot>,
    results: Receiver<io::Result<WrittenFile>>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(path: PathBuf) -> io::Result<Self> {
        let (work, checklists) = mpsc::channel::<Snapshot>();
        let (report, results) = mpsc::channel();
        let thread = std::thread::Builder::new().name("checklist".to_owned()).spawn(move || {
            for checklist in checklists {
                // If the manager is gone, the result is not needed.
                let _ = report.send(replace(&path, &checklist));
            }
        })?;
        Ok(Self { work, results, thread })
    }

    fn finish(self) -> io::Result<Option<WrittenFile>> {
        drop(self.work);
        if self.thread.join().is_err() {
            return Err(io::Error::other("the thread that writes the checklist file panicked"));
        }
        self.results.into_iter().last().transpose()
    }
}

/// Write the checklist to a temporary file and renames it over `path`, keeping mode and group: web
/// servers read it. No fsync: the journal survives a power cut.
fn replace(path: &Path, (event, checklist): &Snapshot) -> io::Result<WrittenFile> {
    let text = Seal::put(*event, &pyyaml::write(checklist, Keys::AsGiven));
    let stamp = replace_text(path, text.as_bytes())?;
    Ok(WrittenFile { event: *event, size: text.len(), stamp })
}

/// Replace the file by one with that text.
pub(super) fn replace_text(path: &Path, text: &[u8]) -> io::Result<FileStamp> {
    // A link stays a link: the file that it names is replaced.
    let path = &target(path);
    let temporary = with_suffix(path, ".new");
    let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let write = || -> io::Result<FileStamp> {
        let mut file = create(&temporary, fs::metadata(path).ok().as_ref())?;
        file.write_all(text)?;
        let stamp = stamp(&file.metadata()?);
        drop(file);
        failpoint::pass("manager: checklist file new");
        fs::rename(&temporary, path)?;
        failpoint::pass("manager: checklist file renamed");
        Ok(stamp)
    };
    write().map_err(explain)
}

fn create(temporary: &Path, before: Option<&fs::Metadata>) -> io::Result<File> {
    // A file that a killed manager left there may have any owner and mode.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mode = before.map_or(0o666, |before| before.permissions().mode() & 0o7777);
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    if let Some(before) = before {
        // The group is kept if this user may do that; a failure does not prevent the write.
        let _ = fchown(&file, None, Some(before.gid()));
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(file)
}

/// Return the file that a link names, even if it does not exist yet.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match fs::read_link(path) {
        Ok(named) => path.parent().unwrap_or(Path::new("")).join(named),
        Err(_) => path.to_owned(),
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
