//! A wall clock that a test sets while the programs of a system run, by libfaketime. Their other clocks stay the machine's.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::packages;

/// How the names of libfaketime's shared memory begin; the number of the process follows.
const LEFTOVERS: [&str; 2] = ["faketime_shm_", "sem.faketime_sem_"];

/// A wall clock.
pub struct WallClock {
    folder: TempDir,
}

impl WallClock {
    /// A clock that is right.
    pub fn new() -> Self {
        packages::install("/usr/bin/faketime", &["faketime"]);
        remove_leftovers();
        let clock = Self { folder: tempfile::tempdir().expect("a folder") };
        clock.set(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// Set it so many seconds ahead of the true time.
    pub fn set(&self, ahead: i64) {
        let new = self.folder.path().join("offset.new");
        fs::write(&new, format!("{ahead:+}\n")).expect("written");
        fs::rename(new, self.file()).expect("in place");
    }

    /// The environment of the programs that have this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let values = [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            // Else programs notice a step some time later.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        values.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        remove_leftovers();
    }
}

/// Remove the shared memory of processes that were killed: libfaketime refuses to start in a process that gets the number of
/// one of those.
pub fn remove_leftovers() {
    for file in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        let name = file.file_name().display().to_string();
        let number = LEFTOVERS.iter().find_map(|prefix| name.strip_prefix(prefix));
        if number.is_some_and(|number| !Path::new("/proc").join(number).exists()) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// The library for programs with threads, in the folder of the machine's architecture.
pub fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("libraries").flatten();
    let library = |folder: fs::DirEntry| folder.path().join("faketime/libfaketimeMT.so.1");
    folders.map(library).find(|library| library.exists()).expect("libfaketime is installed")
}
