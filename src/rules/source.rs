//! The files of the rules: read once, kept as they were read, and checked for changes. Nothing here runs them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::error::RulesLoadError;
use super::explain;
use nowcast_core::RuleFile;

/// The largest file of rules, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// The most bytes of all files of the rules.
const MOST_TEXT: usize = 16 << 20;
/// The most files of the rules, those included that could not be read: each is checked for changes before each batch.
const MOST_FILES: usize = 1_000;
/// The longest name of a required module, in bytes.
const LONGEST_MODULE: usize = 200;
/// The least age of a file's last change for its time stamp to be trusted. A younger file may change again under the
/// same time stamp, because file systems count time in steps of some milliseconds.
const STAMP_STEP: Duration = Duration::from_millis(100);

/// The metadata of a file that tell, without reading it, whether it may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self { modified, size: metadata.len(), inode: metadata.ino() }
    }
}

/// A file of the rules as it was read, or the error of reading it.
#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    /// Its name in Lua's messages.
    chunk: String,
    text: Result<String, RulesLoadError>,
    stamp: Option<Stamp>,
    /// Whether an equal stamp proves that the text is the same.
    is_settled: Cell<bool>,
}

/// A file of the rules: its path, its name in Lua's messages, its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// The path from which it was read.
    pub path: PathBuf,
    /// Its name in Lua's messages: its path inside the rules' folder.
    pub chunk: String,
    /// Its text.
    pub text: String,
}

/// The rules file and the modules that it requires.
#[derive(Debug)]
pub(super) struct Sources {
    main: PathBuf,
    /// The file that the main one stands for: itself, unless it is an edited copy.
    place: PathBuf,
    /// The folders that `require` searches, in this order.
    folders: Vec<PathBuf>,
    /// Whether files are read from the disk; stored rules have no others.
    reads: bool,
    files: RefCell<Vec<SourceFile>>,
    /// The paths of the modules that were required. Once found, a path stays, even if the files on the disk change.
    modules: RefCell<BTreeMap<String, PathBuf>>,
    /// The number of files that were searched for `_ENV`, and whether one contains it.
    environment: Cell<(usize, bool)>,
}

impl Sources {
    /// Create the sources of the rules in a file.
    pub(super) fn new(main: &Path) -> Self {
        let folders = vec![folder(main)];
        Self {
            main: main.to_owned(),
            place: main.to_owned(),
            folders,
            reads: true,
            files: RefCell::default(),
            modules: RefCell::default(),
            environment: Cell::default(),
        }
    }

    /// Create the sources of edited rules, as if they were in the place of those in force. A module that is not beside
    /// them is taken from there.
    pub(super) fn edited(main: &Path, place: &Path) -> Self {
        let mut sources = Self { place: place.to_owned(), ..Self::new(main) };
        if folder(place) != folder(main) {
            sources.folders.push(folder(place));
        }
        sources
    }

    /// Create the sources of stored rules, the main file first.
    pub(super) fn kept(files: &[RuleFile]) -> Self {
        let main = PathBuf::from(files.first().map_or("", |file| &file.name));
        let kept = files.iter().map(|file| SourceFile {
            path: PathBuf::from(&file.name),
            chunk: file.name.clone(),
            text: Ok(file.text.clone()),
            stamp: None,
            is_settled: Cell::new(true),
        });
        let files = RefCell::new(kept.collect());
        let folders = vec![PathBuf::new()];
        Self { place: main.clone(), folders, reads: false, files, ..Self::new(&main) }
    }

    /// Return whether these are files from the journal instead of the disk.
    pub(super) fn are_stored(&self) -> bool {
        !self.reads
    }

    /// Return the path of the rules file.
    pub(super) fn main(&self) -> &Path {
        &self.main
    }

    /// Return all files with their names inside the rules' folder, the main one first.
    pub(super) fn files(&self) -> Vec<RuleFile> {
        let file = |file: &SourceFile| RuleFile {
            name: if file.path == self.main {
                self.place.strip_prefix(folder(&self.place)).unwrap_or(&self.place).display().to_string()
            } else {
                file.chunk.clone()
            },
            text: file.text.clone().unwrap_or_default(),
        };
        self.files.borrow().iter().map(file).collect()
    }

    /// Return all files as they were read, the main one first.
    pub(super) fn texts(&self) -> Vec<RuleText> {
        let text = |file: &SourceFile| RuleText {
            path: file.path.clone(),
            chunk: file.chunk.clone(),
            text: file.text.clone().unwrap_or_default(),
        };
        self.files.borrow().iter().map(text).collect()
    }

    /// Return the name of each file in Lua's messages, and its text.
    pub(super) fn chunks(&self) -> Vec<(String, String)> {
        let files = self.files.borrow();
        files.iter().map(|file| (file.chunk.clone(), file.text.clone().unwrap_or_default())).collect()
    }

    /// Return the name of a file in Lua's messages: its path inside the rules' folder.
    pub(super) fn chunk_name(&self, path: &Path) -> String {
        let inside = self.folders.iter().find_map(|folder| path.strip_prefix(folder).ok());
        inside.unwrap_or(path).display().to_string()
    }

    /// Return the path of the file with this name in Lua's messages.
    pub(super) fn file_of(&self, chunk: &str) -> Option<PathBuf> {
        let files = self.files.borrow();
        files.iter().find(|file| file.chunk == chunk).map(|file| file.path.clone())
    }

    /// Return whether a file that was read contains `_ENV`.
    pub(super) fn names_environment(&self) -> bool {
        let files = self.files.borrow();
        if self.environment.get().0 != files.len() {
            let names = |file: &SourceFile| file.text.as_ref().is_ok_and(|text| text.contains("_ENV"));
            self.environment.set((files.len(), files.iter().any(names)));
        }
        self.environment.get().1
    }

    /// Return a line, with its number, of the file with this name in Lua's messages.
    pub(super) fn line(&self, chunk: &str, number: usize) -> Option<String> {
        let files = self.files.borrow();
        let file = files.iter().find(|file| file.chunk == chunk)?;
        explain::line(file.text.as_deref().ok()?, number)
    }

    /// Return the text of the file with this name in Lua's messages.
    pub(super) fn text_of(&self, chunk: &str) -> Option<String> {
        let files = self.files.borrow();
        files.iter().find(|file| file.chunk == chunk)?.text.clone().ok()
    }

    /// Return whether a file has this name in Lua's messages.
    pub(super) fn has_chunk(&self, chunk: &str) -> bool {
        self.files.borrow().iter().any(|file| file.chunk == chunk)
    }

    /// Return the path of a required module: `rivers.fraser` is `rivers/fraser.lua` in the rules' folder. No name leads
    /// out of that folder.
    pub(super) fn module(&self, name: &str) -> Result<PathBuf, String> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_' || sign == '-')
        };
        if name.len() > LONGEST_MODULE {
            return Err(format!("require: a name of {} bytes is too long for a module", name.len()));
        }
        if !name.split('.').all(is_part) {
            return Err(format!(
                "require: {name:?} is not a module's name; write letters, digits and _, with dots between folders"
            ));
        }
        if let Some(path) = self.modules.borrow().get(name) {
            return Ok(path.clone());
        }
        let inside = PathBuf::from(name.replace('.', "/")).with_extension("lua");
        let first = self.folders.iter().map(|folder| folder.join(&inside)).find(|path| path.exists());
        // If there is no such file, the error of reading it shows the expected path.
        let path =
            first.unwrap_or_else(|| self.folders.last().map_or(inside.clone(), |last| last.join(&inside)));
        let mut modules = self.modules.borrow_mut();
        // More modules than files can be read are not.
        if modules.len() < MOST_FILES {
            modules.insert(name.to_owned(), path.clone());
        }
        Ok(path)
    }

    /// Return the text of a file, or the error of reading it. The disk is read the first time only, so that a virtual
    /// machine that is built again runs the rules that were checked, even if the files have changed.
    pub(super) fn text(&self, path: &Path) -> Result<String, RulesLoadError> {
        if let Some(file) = self.files.borrow().iter().find(|file| file.path == path) {
            return file.text.clone();
        }
        if !self.reads {
            let reason = "was not kept with these rules".to_owned();
            return Err(RulesLoadError::new(path.to_owned(), None, reason));
        }
        if self.files.borrow().len() >= MOST_FILES {
            let reason = format!("the rules require more than {MOST_FILES} files");
            return Err(RulesLoadError::new(path.to_owned(), None, reason));
        }
        let (stamp, text) = read(path);
        let text = text.and_then(|text| self.with_room(path, text));
        let settled = stamp.is_some_and(is_settled);
        self.files.borrow_mut().push(SourceFile {
            path: path.to_owned(),
            chunk: self.chunk_name(path),
            text: text.clone(),
            stamp,
            is_settled: Cell::new(settled),
        });
        text
    }

    /// Return the text of a file, or an error if the files would have too much text together.
    fn with_room(&self, path: &Path, text: String) -> Result<String, RulesLoadError> {
        let others = self.files.borrow().iter().flat_map(|file| &file.text).map(String::len).sum::<usize>();
        if others + text.len() <= MOST_TEXT {
            return Ok(text);
        }
        let reason =
            "the files of the rules have more than 16 MB of text together; require fewer of them".to_owned();
        Err(RulesLoadError::new(path.to_owned(), None, reason))
    }

    /// Return whether a file has changed since it was read: one `stat` for each file, and a read of unsettled ones.
    pub(super) fn have_changed(&self) -> bool {
        self.files.borrow().iter().any(|file| {
            let stamp = std::fs::metadata(&file.path).ok().map(|metadata| Stamp::of(&metadata));
            if stamp != file.stamp {
                return true;
            }
            if stamp.is_none() || file.is_settled.get() {
                return false;
            }
            let (stamp, text) = read(&file.path);
            file.is_settled.set(stamp.is_some_and(is_settled));
            text.as_ref().ok() != file.text.as_ref().ok()
        })
    }

    /// Keep the texts, but take the stamps of the same files in `other`.
    pub(super) fn take_stamps_of(&self, other: &Sources) {
        let mut files = self.files.borrow_mut();
        for theirs in other.files.borrow().iter() {
            if let Some(file) = files.iter_mut().find(|file| file.path == theirs.path) {
                file.stamp = theirs.stamp;
                file.is_settled.set(theirs.is_settled.get());
            }
        }
    }

    /// Return the SHA-256 of the names and texts of all files, in hexadecimal.
    pub(super) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for file in self.files() {
            for part in [&file.name, &file.text] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// Return the folder of a file.
fn folder(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// Return whether any later change of a file with this stamp, read now, changes the stamp.
fn is_settled(stamp: Stamp) -> bool {
    SystemTime::now().duration_since(stamp.modified).is_ok_and(|age| age > STAMP_STEP)
}

fn read(path: &Path) -> (Option<Stamp>, Result<String, RulesLoadError>) {
    let error = |line, reason: String| RulesLoadError::new(path.to_owned(), line, reason);
    let unreadable = |cause: std::io::Error| error(None, format!("cannot read the file: {cause}"));
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(cause) => {
            let stamp = std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
            return (stamp, Err(unreadable(cause)));
        }
    };
    // The stamp is taken before the text, so that a write between the two shows as a change.
    let stamp = match file.metadata() {
        Ok(metadata) if metadata.is_file() => Some(Stamp::of(&metadata)),
        Ok(metadata) => {
            return (Some(Stamp::of(&metadata)), Err(error(None, "is not a file of text".to_owned())));
        }
        Err(cause) => return (None, Err(unreadable(cause))),
    };
    let mut bytes = Vec::new();
    if let Err(cause) = file.by_ref().take(LARGEST_FILE + 1).read_to_end(&mut bytes) {
        return (stamp, Err(unreadable(cause)));
    }
    (stamp, as_text(bytes).map_err(|(line, reason)| error(line, reason)))
}

fn as_text(bytes: Vec<u8>) -> Result<String, (Option<usize>, String)> {
    if bytes.len() as u64 > LARGEST_FILE {
        return Err((None, "is larger than 1 MB; split it and require the parts".to_owned()));
    }
    if bytes.starts_with(b"\x1bLua") {
        return Err((None, "is compiled Lua; the rules must be text".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].split(|byte| *byte == b'\n').count();
        (Some(line), "is not UTF-8; save the file in that encoding".to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // A first line `#!…` stays as a comment to keep the line numbers right.
    Ok(if text.starts_with('#') { format!("--{text}") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_other_than_text_are_refused_with_their_line() {
        assert_eq!(as_text(b"\x1bLuaS".to_vec()).unwrap_err().1, "is compiled Lua; the rules must be text");
        assert_eq!(as_text(b"a\nb\xff".to_vec()).unwrap_err().0, Some(2));
        assert_eq!(as_text("\u{feff}x = 1".into()).unwrap(), "x = 1");
        assert_eq!(as_text("#!/usr/bin/lua\nx = 1".into()).unwrap(), "--#!/usr/bin/lua\nx = 1");
        assert!(as_text(vec![b' '; (1 << 20) + 1]).unwrap_err().1.contains("larger than 1 MB"));
    }

    #[test]
    fn a_module_s_name_cannot_leave_the_folder() {
        let sources = Sources::new(Path::new("/etc/rules/next_workers.lua"));
        assert_eq!(sources.module("a.b_c").unwrap(), Path::new("/etc/rules/a/b_c.lua"));
        for name in ["", ".", "..", "../x", "/x", "a..b", "a/b", "a.", "x\0"] {
            assert!(sources.module(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_was_found_once_stands() {
        let (edited, live) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let in_edited = |name: &str| edited.path().join(name);
        let in_live = |name: &str| live.path().join(name);
        std::fs::write(in_live("a.lua"), "return 1").unwrap();
        let sources = Sources::edited(&in_edited("main.lua"), &in_live("main.lua"));
        assert_eq!(sources.module("a").unwrap(), in_live("a.lua"));
        let missing = sources.module("b").unwrap();
        let error = sources.text(&missing).unwrap_err();
        for name in ["a.lua", "b.lua"] {
            std::fs::write(in_edited(name), "return 2").unwrap();
            std::fs::write(in_live(name), "return 3").unwrap();
        }
        assert_eq!(sources.module("a").unwrap(), in_live("a.lua"));
        assert_eq!((sources.module("b").unwrap(), sources.text(&missing)), (missing.clone(), Err(error)));
        assert!(sources.have_changed());
    }

    #[test]
    fn an_edit_of_the_same_size_within_the_step_of_the_clock_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lua");
        std::fs::write(&path, "x = 1").unwrap();
        let sources = Sources::new(&path);
        sources.text(&path).unwrap();
        assert!(!sources.have_changed());
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "x = 2").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert!(sources.have_changed());
    }
}
