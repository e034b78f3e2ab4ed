//! The files of the rules: read once, kept as they were read, and watched for changes. Nothing here runs them.

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

/// The largest file of rules, in bytes: the Lua compiler runs without a limit on time.
const LARGEST_FILE: u64 = 1 << 20;
/// A file changed this short a time before it was read may change again under the same time stamp:
/// file systems count time in steps of some milliseconds.
const STAMP_STEP: Duration = Duration::from_millis(100);

/// What tells that a file may have changed, without reading it.
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

/// A file of the rules as it was read; the error if it could not be.
#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    /// What Lua calls it.
    chunk: String,
    text: Result<String, RulesLoadError>,
    stamp: Option<Stamp>,
    /// Whether the stamp alone tells that the text is still the same.
    is_settled: Cell<bool>,
}

/// A file of the rules: where it is, what Lua calls it, what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// Where it was read.
    pub path: PathBuf,
    /// What Lua calls it in its messages: its path inside the rules' folder.
    pub chunk: String,
    /// What is in it.
    pub text: String,
}

/// The rules file and what it requires.
#[derive(Debug)]
pub(super) struct Sources {
    main: PathBuf,
    /// The file in whose place the main one stands; itself, unless it is an edited copy.
    place: PathBuf,
    /// The folders that `require` looks in, the first one first.
    folders: Vec<PathBuf>,
    /// Whether files are read from the disk; else what is there is all there is.
    reads: bool,
    files: RefCell<Vec<SourceFile>>,
    /// The modules that were required, and where they are. What was found once stands, whatever the disk holds later.
    modules: RefCell<BTreeMap<String, PathBuf>>,
    /// Of how many files it is known whether one of them names `_ENV`, and whether one does.
    environment: Cell<(usize, bool)>,
}

impl Sources {
    /// The rules in a file.
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

    /// Edited rules as if they stood in the place of those in force: what they require and is not beside
    /// them is taken from there.
    pub(super) fn edited(main: &Path, place: &Path) -> Self {
        let mut sources = Self { place: place.to_owned(), ..Self::new(main) };
        if folder(place) != folder(main) {
            sources.folders.push(folder(place));
        }
        sources
    }

    /// Rules that were kept; the main file is the first.
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

    /// Whether these are the files that the journal kept, and not those on the disk.
    pub(super) fn are_stored(&self) -> bool {
        !self.reads
    }

    /// The rules file itself.
    pub(super) fn main(&self) -> &Path {
        &self.main
    }

    /// All files with their names inside the rules' folder, the main one first.
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

    /// All files as they were read, the main one first.
    pub(super) fn texts(&self) -> Vec<RuleText> {
        let text = |file: &SourceFile| RuleText {
            path: file.path.clone(),
            chunk: file.chunk.clone(),
            text: file.text.clone().unwrap_or_default(),
        };
        self.files.borrow().iter().map(text).collect()
    }

    /// What Lua calls each file, and its text.
    pub(super) fn chunks(&self) -> Vec<(String, String)> {
        let files = self.files.borrow();
        files.iter().map(|file| (file.chunk.clone(), file.text.clone().unwrap_or_default())).collect()
    }

    /// What Lua calls a file in its messages: its path inside the rules' folder.
    pub(super) fn chunk_name(&self, path: &Path) -> String {
        let inside = self.folders.iter().find_map(|folder| path.strip_prefix(folder).ok());
        inside.unwrap_or(path).display().to_string()
    }

    /// The file that Lua calls so.
    pub(super) fn file_of(&self, chunk: &str) -> Option<PathBuf> {
        let files = self.files.borrow();
        files.iter().find(|file| file.chunk == chunk).map(|file| file.path.clone())
    }

    /// Whether one of the files that were read names `_ENV`.
    pub(super) fn names_environment(&self) -> bool {
        let files = self.files.borrow();
        if self.environment.get().0 != files.len() {
            let names = |file: &SourceFile| file.text.as_ref().is_ok_and(|text| text.contains("_ENV"));
            self.environment.set((files.len(), files.iter().any(names)));
        }
        self.environment.get().1
    }

    /// A line of the file that Lua calls so, with its number.
    pub(super) fn line(&self, chunk: &str, number: usize) -> Option<String> {
        let files = self.files.borrow();
        let file = files.iter().find(|file| file.chunk == chunk)?;
        explain::line(file.text.as_deref().ok()?, number)
    }

    /// The text of the file that Lua calls so.
    pub(super) fn text_of(&self, chunk: &str) -> Option<String> {
        let files = self.files.borrow();
        files.iter().find(|file| file.chunk == chunk)?.text.clone().ok()
    }

    /// Whether Lua calls one of the files so.
    pub(super) fn has_chunk(&self, chunk: &str) -> bool {
        self.files.borrow().iter().any(|file| file.chunk == chunk)
    }

    /// The file of a module that is required: `rivers.fraser` is `rivers/fraser.lua` in the rules'
    /// folder, and nothing outside of it can be named.
    pub(super) fn module(&self, name: &str) -> Result<PathBuf, String> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_' || sign == '-')
        };
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
        // Without one, the error of reading it says where it should be.
        let path =
            first.unwrap_or_else(|| self.folders.last().map_or(inside.clone(), |last| last.join(&inside)));
        self.modules.borrow_mut().insert(name.to_owned(), path.clone());
        Ok(path)
    }

    /// The text of a file, read from disk the first time only: a virtual machine that is built again
    /// runs the rules that were checked, whatever the disk holds by then. What could not be read then cannot be later.
    pub(super) fn text(&self, path: &Path) -> Result<String, RulesLoadError> {
        if let Some(file) = self.files.borrow().iter().find(|file| file.path == path) {
            return file.text.clone();
        }
        if !self.reads {
            let reason = "was not kept with these rules".to_owned();
            return Err(RulesLoadError::new(path.to_owned(), None, reason));
        }
        let (stamp, text) = read(path);
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

    /// Whether a file is not what it was when it was read: one `stat` for each file.
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

    /// Keeps the texts but takes the stamps that the files have now.
    pub(super) fn take_stamps_of(&self, other: &Sources) {
        let mut files = self.files.borrow_mut();
        for theirs in other.files.borrow().iter() {
            if let Some(file) = files.iter_mut().find(|file| file.path == theirs.path) {
                file.stamp = theirs.stamp;
                file.is_settled.set(theirs.is_settled.get());
            }
        }
    }

    /// SHA-256 of the names and texts of all files, in hexadecimal.
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

/// The folder that a file is in.
fn folder(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// Whether a file with this stamp, read now, cannot change without its stamp telling.
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
    // The stamp first: a write between the two then shows as a change.
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
    // A first line `#!…` stays as a comment, so that the numbers of the lines are right.
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
