//! The folders of past runs: their highest number, and the removal of old ones.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::folder_state::RunFolderState;
use super::run_folder::RunFolder;

/// The unit in which the operating system counts the space of a file.
const BLOCK: u64 = 512;

/// Return the numbers of the runs that have folders below `root`, and these.
pub fn folders(root: &Path) -> impl Iterator<Item = (u64, PathBuf)> + use<> {
    let runs = entries(root).flat_map(|day| entries(&day.path()));
    runs.filter_map(|run| Some((run.file_name().to_str()?.parse().ok()?, run.path())))
}

/// Return the highest number of a run that has a folder below `root`.
#[must_use]
pub fn highest(root: &Path) -> u64 {
    folders(root).map(|(number, _)| number).max().unwrap_or(0)
}

/// The folders of runs that were removed.
#[derive(Debug, Default)]
pub struct RemovedFolders {
    /// How many.
    pub count: usize,
    /// How many bytes of the disk they took.
    pub bytes: u64,
    /// Why others could not be removed.
    pub errors: Vec<io::Error>,
}

/// Remove the folders of runs below `root` whose numbers are gone, and the folders of days in which no run is left. The dates do not
/// matter: the clock may have been wrong.
pub fn remove(root: &Path, is_gone: impl Fn(u64) -> bool) -> RemovedFolders {
    let mut removed = RemovedFolders::default();
    for day in entries(root) {
        if day.file_name().to_str().is_none_or(|name| name.parse::<Date>().is_err()) {
            continue;
        }
        for run in entries(&day.path()) {
            let number = run.file_name().to_str().and_then(|name| name.parse().ok());
            if number.is_some_and(&is_gone) && !is_running(&run.path()) {
                let bytes = size(&run.path());
                match fs::remove_dir_all(run.path()) {
                    Ok(()) => (removed.count, removed.bytes) = (removed.count + 1, removed.bytes + bytes),
                    Err(error) => removed.errors.push(error),
                }
            }
        }
        // A day with runs is not empty, and stays.
        let _ = fs::remove_dir(day.path());
    }
    removed
}

/// Return whether a run may still run. The journal does not know it if it is a restored one.
fn is_running(folder: &Path) -> bool {
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let state = RunFolder::new(folder, run).state();
    state.is_ok_and(|reading| {
        matches!(reading.state, RunFolderState::Running { .. } | RunFolderState::Orphan { .. })
    })
}

/// Return how many bytes of the disk the folder of a run takes, with its files.
#[must_use]
pub fn size(folder: &Path) -> u64 {
    let blocks = |path: &Path| fs::symlink_metadata(path).map_or(0, |found| found.blocks());
    let files: u64 = entries(folder).map(|file| blocks(&file.path())).sum();
    (blocks(folder) + files) * BLOCK
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_are_gone_are_removed_whatever_the_date_of_their_folder() {
        let root = tempfile::tempdir().unwrap();
        // The clock was years behind for a while.
        for run in ["2026-03-01/5", "2026-03-01/6", "2026-03-02/7", "2020-01-01/9", "notes/3"] {
            fs::create_dir_all(root.path().join(run)).unwrap();
        }
        assert_eq!(highest(root.path()), 9);
        let removed = remove(root.path(), |number| number < 8 && number != 6);
        assert_eq!((removed.count, removed.errors.len()), (2, 0));
        let there = |name: &str| root.path().join(name).exists();
        assert!(!there("2026-03-01/5") && there("2026-03-01/6") && !there("2026-03-02"));
        assert!(there("2020-01-01/9") && there("notes/3"));
    }
}
