//! Reading and writing the JSON files of a run's folder. It does not know what they mean.
//!
//! Each file exists whole or not at all, whatever is killed meanwhile.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::run_folder::RunFolder;

/// The content of a file.
pub(super) enum FileContent<T> {
    Absent,
    Whole(T),
    /// With the reason.
    Damaged(String),
}

/// Read a JSON file.
pub(super) fn read_file<T: DeserializeOwned>(path: &Path) -> io::Result<FileContent<T>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FileContent::Absent),
        Err(error) => {
            return Err(io::Error::new(error.kind(), format!("{} cannot be read: {error}", path.display())));
        }
        Ok(bytes) => bytes,
    };
    Ok(match serde_json::from_slice(&bytes) {
        Ok(value) => FileContent::Whole(value),
        Err(_) if bytes.is_empty() => FileContent::Damaged(format!("{} is empty", path.display())),
        Err(error) => FileContent::Damaged(format!("{} is damaged: {error}", path.display())),
    })
}

impl RunFolder {
    /// Read a file of the folder.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<FileContent<T>> {
        read_file(&self.path().join(name))
    }

    /// Read a file of the folder, if it exists and is not damaged. A file that cannot be read may exist.
    pub(super) fn read_whole<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        Ok(match self.read(name)? {
            FileContent::Whole(value) => Some(value),
            FileContent::Absent | FileContent::Damaged(_) => None,
        })
    }

    /// Write a file of the folder, replacing an earlier one.
    pub(super) fn write(&self, name: &str, content: &impl Serialize, sync: bool) -> io::Result<()> {
        let new = self.write_new(name, content, sync)?;
        fs::rename(new, self.path().join(name))
    }

    /// Write a file under a name that no other process or call uses, and return its path. A file that cannot be
    /// written whole is removed.
    pub(super) fn write_new(&self, name: &str, content: &impl Serialize, sync: bool) -> io::Result<PathBuf> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let new = self.path().join(format!("{name}.{}.{number}.new", std::process::id()));
        let bytes = serde_json::to_vec(content)?;
        let write = || {
            // A process with the same number that was killed may have left this file, and it may be linked as the
            // claim: remove the name and do not overwrite the content.
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
