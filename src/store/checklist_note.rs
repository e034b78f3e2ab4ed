//! [`ChecklistNote`]: a file in the journal's folder with the path of the checklist file and the event after which the manager
//! wrote it last.
//!
//! So a checklist file that is missing, or older, is known to be someone's deed: a manager that is killed leaves one that is as
//! old as the note, or newer. It never looks at the checklist file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nowcast_core::Number;

/// The name of the note in the journal's folder.
pub const CHECKLIST_NOTE: &str = "checklist-file";

/// The line behind the path.
const EVENT: &[u8] = b"\nevent ";

/// The note of one manager.
#[derive(Debug)]
pub(super) struct ChecklistNote {
    path: PathBuf,
    file: Option<File>,
}

impl ChecklistNote {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Return the path of the checklist file that was written last, and the event; `None` if none was written. A note of an
    /// earlier version has no event.
    pub(super) fn read(&self) -> Option<(PathBuf, Option<Number>)> {
        let text = fs::read(&self.path).ok()?;
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
        let Some(at) = memchr::memmem::rfind(&text, EVENT) else { return Some((path(&text), None)) };
        let event = std::str::from_utf8(&text[at + EVENT.len()..]).ok();
        Some((path(&text[..at]), event.and_then(|event| event.trim().parse().ok()).map(Number)))
    }

    /// Write the note. The text for one checklist file always has the same length, so one write replaces it.
    pub(super) fn write(&mut self, checklist_file: &Path, event: Number) -> io::Result<()> {
        let event = format!("{:<20}\n", event.0);
        let text = [checklist_file.as_os_str().as_bytes(), EVENT, event.as_bytes()].concat();
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
            file.set_len(text.len() as u64)?;
            file
        };
        let written = file.write_all_at(&text, 0);
        self.file = Some(file);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checklist-file");
        let mut note = ChecklistNote::new(path.clone());
        assert_eq!(note.read(), None);
        for event in [7, 123_456, 8] {
            note.write(Path::new("/data/check\nlist.yaml"), Number(event)).unwrap();
            let expected = (PathBuf::from("/data/check\nlist.yaml"), Some(Number(event)));
            assert_eq!(ChecklistNote::new(path.clone()).read(), Some(expected));
        }
        let mut other = ChecklistNote::new(path.clone());
        other.write(Path::new("/a"), Number(9)).unwrap();
        assert_eq!(other.read(), Some((PathBuf::from("/a"), Some(Number(9)))));
    }

    #[test]
    fn a_note_of_an_earlier_version_has_no_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checklist-file");
        fs::write(&path, "/data/checklist.yaml").unwrap();
        assert_eq!(ChecklistNote::new(path).read(), Some((PathBuf::from("/data/checklist.yaml"), None)));
    }
}
