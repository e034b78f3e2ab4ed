//! The folders of past runs: their highest number, and the removal of old ones.

use std::fs;
use std::io;
use std::path::Path;

use jiff::civil::Date;

/// Return the highest number of a run that has a folder below `root`.
#[must_use]
pub fn highest(root: &Path) -> u64 {
    let names = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let runs = names(root).flat_map(|day| names(&day.path()));
    runs.filter_map(|run| run.file_name().to_str()?.parse().ok()).max().unwrap_or(0)
}

/// Remove the folders of runs below `root` whose numbers are gone, and the folders of days in which no run is left. Return the
/// errors of those that could not be removed. The dates do not matter: the clock may have been wrong.
#[must_use]
pub fn remove(root: &Path, is_gone: impl Fn(u64) -> bool) -> Vec<io::Error> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut errors = Vec::new();
    for day in entries(root) {
        if day.file_name().to_str().is_none_or(|name| name.parse::<Date>().is_err()) {
            continue;
        }
        for run in entries(&day.path()) {
            let number = run.file_name().to_str().and_then(|name| name.parse().ok());
            if number.is_some_and(&is_gone) {
                errors.extend(fs::remove_dir_all(run.path()).err());
            }
        }
        // A day with runs is not empty, and stays.
        let _ = fs::remove_dir(day.path());
    }
    errors
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
        assert!(remove(root.path(), |number| number < 8 && number != 6).is_empty());
        let there = |name: &str| root.path().join(name).exists();
        assert!(!there("2026-03-01/5") && there("2026-03-01/6") && !there("2026-03-02"));
        assert!(there("2020-01-01/9") && there("notes/3"));
    }
}
