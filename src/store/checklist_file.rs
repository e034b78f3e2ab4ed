//! The checklist file: NEMO_Nowcast's YAML file, always complete.
//!
//! It is written to a temporary file and renamed, so a reader finds the old or the new one, also after a crash.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::seal::Seal;
use crate::config::read_regular;
use crate::failpoint;
use nowcast_core::Number;
use pyyaml::{Keys, Map, Value};

/// Bytes above which the file is written beside the loop instead of in it.
const LARGE: usize = 1_000_000;

/// How long a small file waits for more changes, unless a launched worker may read it.
const GATHER: Duration = Duration::from_millis(20);

/// How long after a change the writing of a large file begins at the latest.
const DELAY: Duration = Duration::from_millis(250);

/// How long after a failed write the next one is tried.
const RETRY: Duration = Duration::from_secs(1);

/// The checklist file of one manager.
#[derive(Debug)]
pub struct ChecklistFile {
    path: PathBuf,
    /// The note file: it shows that the checklist file has existed.
    note: PathBuf,
    noted: bool,
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

/// What the file holds.
#[derive(Debug)]
pub struct ChecklistFileContent {
    /// The checklist.
    pub entries: Map,
    /// Its first line; `None` if another program wrote it.
    pub seal: Option<Seal>,
}

/// A change in whether the file can be written.
#[derive(Debug)]
pub enum WriteState {
    /// It cannot any more; it is tried again every second.
    Failed(io::Error),
    /// It can again.
    Recovered,
}

/// Why no checklist could be read.
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
        /// What is wrong with it.
        problem: String,
        /// Why it stays where it is.
        error: io::Error,
    },
    /// It is not a checklist and was set aside.
    #[error("{} is not a checklist: {problem}; it is kept as {}", path.display(), kept.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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
        Self { path, note, noted: false, last_size: 0, writer: None, due: None, ask: None, failing: false }
    }

    /// Write the note file, unless that is done.
    fn take_note(&mut self) {
        if !self.noted {
            // Without the note, a file that is removed is written again.
            self.noted = fs::write(&self.note, self.path.as_os_str().as_bytes()).is_ok();
        }
    }

    fn is_noted(&self) -> bool {
        fs::read(&self.note).is_ok_and(|noted| noted == self.path.as_os_str().as_bytes())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. A file that holds no checklist is set aside under another name, for a person to
    /// look at, so that the next write does not destroy it.
    ///
    /// # Errors
    /// When there is no checklist to be had from it.
    pub fn load(&mut self) -> Result<ChecklistFileContent, LoadError> {
        let problem = match read_regular(&self.path) {
            Ok(bytes) => {
                self.last_size = bytes.len();
                self.take_note();
                match pyyaml::read_own(&bytes) {
                    Ok(Value::Map(map)) => {
                        return Ok(ChecklistFileContent {
                            entries: (*map).clone(),
                            seal: Seal::read(&bytes),
                        });
                    }
                    Ok(Value::Null) => "it is empty".to_owned(),
                    Ok(other) => format!("it holds {}", other.kind()),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let kind = if self.is_noted() { LoadError::Missing } else { LoadError::NeverWritten };
                return Err(kind(self.path.clone()));
            }
            Err(error) => error.to_string(),
        };
        match self.set_aside() {
            Ok(kept) => Err(LoadError::Damaged { path: self.path.clone(), problem, kept }),
            Err(error) => Err(LoadError::Stuck { path: self.path.clone(), problem, error }),
        }
    }

    /// Whether the file is there and is not as a manager wrote it.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        read_regular(&self.path).is_ok_and(|bytes| Seal::read(&bytes).is_none_or(|seal| !seal.is_whole))
    }

    /// Renames the file to the first free name with a number behind it.
    fn set_aside(&self) -> io::Result<PathBuf> {
        let names = (1..=10_000).map(|number| with_suffix(&self.path, &format!(".damaged-{number}")));
        for kept in names {
            if !kept.try_exists()? {
                fs::rename(&self.path, &kept)?;
                return Ok(kept);
            }
        }
        Err(io::Error::other("ten thousand damaged ones are there already"))
    }

    /// Notes that the checklist changed at `now`. The file is written a little later, by
    /// [`ChecklistFile::write_if_due`], so that many changes make one write.
    pub fn mark_changed(&mut self, now: Instant) {
        let delay = if self.is_large() { DELAY } else { GATHER };
        self.due.get_or_insert(now + delay);
    }

    /// Note that a launched worker may read the file: a small one is written by the next [`ChecklistFile::write_if_due`].
    pub fn make_due(&mut self, now: Instant) {
        if !self.is_large() && !self.failing {
            self.due = self.due.map(|due| due.min(now));
        }
    }

    /// When the next [`ChecklistFile::write_if_due`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.ask).min()
    }

    /// Writes the file if that is due; a large one in a thread of its own, one write at a time. Says when
    /// writing began to fail or works again.
    pub fn write_if_due(&mut self, checklist: impl FnOnce() -> Snapshot, now: Instant) -> Option<WriteState> {
        let mut result = self.result_of_thread(now);
        if self.due.is_some_and(|due| due <= now) {
            if self.ask.is_some() {
                self.due = self.ask;
            } else {
                self.due = None;
                result = if self.is_large() {
                    self.hand_over(checklist(), now).err().map(Err).or(result)
                } else {
                    Some(replace(&self.path, &checklist()))
                };
            }
        }
        self.note(result?, now)
    }

    /// Writes what is not written yet, now. What fails stays due.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self, checklist: impl FnOnce() -> Snapshot, now: Instant) -> io::Result<()> {
        self.ask = None;
        let result = self.writer.take().map_or(Ok(()), Writer::finish);
        if self.due.take().is_none() && result.is_ok() {
            return Ok(());
        }
        match replace(&self.path, &checklist()) {
            Ok(size) => {
                self.last_size = size;
                self.take_note();
            }
            Err(error) => {
                self.due = Some(now + RETRY);
                return Err(error);
            }
        }
        Ok(())
    }

    fn is_large(&self) -> bool {
        self.last_size > LARGE
    }

    fn note(&mut self, result: io::Result<usize>, now: Instant) -> Option<WriteState> {
        let failed_before = std::mem::replace(&mut self.failing, result.is_err());
        match result {
            Ok(size) => {
                self.last_size = size;
                self.take_note();
                failed_before.then_some(WriteState::Recovered)
            }
            Err(error) => {
                self.due.get_or_insert(now + RETRY);
                (!failed_before).then_some(WriteState::Failed(error))
            }
        }
    }

    fn hand_over(&mut self, checklist: Snapshot, now: Instant) -> io::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::start(self.path.clone())?),
        };
        writer.work.send(checklist).map_err(|_| io::Error::other("the thread that writes it has ended"))?;
        self.ask = Some(now + DELAY);
        Ok(())
    }

    /// How the thread's write ended, if it has.
    fn result_of_thread(&mut self, now: Instant) -> Option<io::Result<usize>> {
        self.ask?;
        let result = self.writer.as_ref().and_then(|writer| writer.results.try_recv().ok());
        self.ask = if result.is_none() { Some(now + DELAY) } else { None };
        result
    }
}

/// The thread that writes large checklists.
#[derive(Debug)]
struct Writer {
    work: Sender<Snapshot>,
    results: Receiver<io::Result<usize>>,
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

    fn finish(self) -> io::Result<()> {
        drop(self.work);
        if self.thread.join().is_err() {
            return Err(io::Error::other("the thread that writes the checklist file panicked"));
        }
        self.results.into_iter().last().map_or(Ok(()), |result| result.map(|_| ()))
    }
}

/// Writes the checklist to a temporary file and renames it over `path`, keeping mode and group: web
/// servers read it. Answers its size in bytes. No fsync: what must survive a power cut is kept
/// elsewhere.
fn replace(path: &Path, (event, checklist): &Snapshot) -> io::Result<usize> {
    let text = Seal::put(*event, &pyyaml::write(checklist, Keys::AsGiven));
    // A link stays a link: the file that it names is replaced.
    let path = &target(path);
    let temporary = with_suffix(path, ".new");
    let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let write = || -> io::Result<()> {
        let mut file = create(&temporary, fs::metadata(path).ok().as_ref())?;
        file.write_all(text.as_bytes())?;
        drop(file);
        failpoint::pass("manager: checklist file new");
        fs::rename(&temporary, path)?;
        failpoint::pass("manager: checklist file renamed");
        Ok(())
    };
    write().map_err(explain)?;
    Ok(text.len())
}

fn create(temporary: &Path, before: Option<&fs::Metadata>) -> io::Result<File> {
    // What a killed manager left there may belong to anybody and have any mode.
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
