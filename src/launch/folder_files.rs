//! Reading and writing the files of a run's folder, whatever they hold: each appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::run_folder::RunFolder;

/// What a file holds.
pub(super) enum FileContent<T> {
    Absent,
    Whole(T),
    /// And why.
    Damaged(String),
}

impl RunFolder {
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<FileContent<T>> {
        Self::read_file(&self.path.join(name))
    }

    pub(super) fn read_file<T: DeserializeOwned>(path: &Path) -> io::Result<FileContent<T>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FileContent::Absent),
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("{} cannot be read: {error}", path.display()),
                ));
            }
            Ok(bytes) => bytes,
        };
        Ok(match serde_json::from_slice(&bytes) {
            Ok(value) => FileContent::Whole(value),
            Err(_) if bytes.is_empty() => FileContent::Damaged(format!("{} is empty", path.display())),
            Err(error) => FileContent::Damaged(format!("{} is damaged: {error}", path.display())),
        })
    }

    /// Writes a file under a name that no other process or call uses, and answers that; nothing is left of
    /// one that could not be written.
    pub(super) fn write_new(&self, name: &str, content: &impl Serialize, sync: bool) -> io::Result<PathBuf> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let new = self.path.join(format!("{name}.{}.{number}.new", std::process::id()));
        let bytes = serde_json::to_vec(content)?;
        let write = || {
            // A killed process of the same number may have left its own, which may be the claim by now:
            // it is not written over.
            let _ = fs::remove_file(&new);
            let mut file = File::create_new(&new)?;
            file.write_all(&bytes)?;
            if sync { file.sync_all() } else { Ok(()) }
        };
        match write() {
            Ok(()) => Ok(new),
            Err(error) => {
                let _ = fs::remove_file(&new);
                Err(error)
            }
        }
    }
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
