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

/// Remove the folders of days before `date` below `root`, except those with a run in `open` (`2026-03-14/8812`). Return
/// the errors of those that could not be removed.
#[must_use]
pub fn remove_before(root: &Path, date: Date, open: &[String]) -> Vec<io::Error> {
    let mut errors = Vec::new();
    for day in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = day.file_name().to_string_lossy().into_owned();
        let is_old = name.parse::<Date>().is_ok_and(|day| day < date);
        if is_old && !open.iter().any(|folder| folder.starts_with(&name)) {
            errors.extend(fs::remove_dir_all(day.path()).err());
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_days_are_removed_except_those_with_open_runs() {
        let root = tempfile::tempdir().unwrap();
        for run in ["2026-03-01/5", "2026-03-02/7", "2026-03-03/9", "notes/1000"] {
            fs::create_dir_all(root.path().join(run)).unwrap();
        }
        assert_eq!(highest(root.path()), 1_000);
        let date = "2026-03-03".parse().unwrap();
        assert!(remove_before(root.path(), date, &["2026-03-02/7".to_owned()]).is_empty());
        let there = |name: &str| root.path().join(name).exists();
        assert!(!there("2026-03-01") && there("2026-03-02") && there("2026-03-03") && there("notes"));
    }
}
