//! [`FolderStamp`]: whether a file of the journal's folder may have been removed or replaced, by one look at the folder instead
//! of one at each file.
//!
//! It never says that nothing changed if something may have.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::lock;

/// File systems count time in steps of some milliseconds: two changes within this time may have the same time stamp.
const TIME_STEP: Duration = Duration::from_millis(100);

/// The identity of a folder, and when a name in it was last made, removed or given to another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FolderStamp {
    identity: (u64, u64),
    /// The seconds and nanoseconds of its `ctime`, which no program can set.
    changed: (i64, i64),
}

impl FolderStamp {
    /// Return the stamp of a folder, if later changes are certain to give it another one. `None` shortly after a change, and if
    /// there is no such folder.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let found = fs::metadata(folder).ok()?;
        let stamp = Self { identity: lock::identity(&found), changed: (found.ctime(), found.ctime_nsec()) };
        stamp.is_settled(SystemTime::now()).then_some(stamp)
    }

    /// Whether a change at `now` or later gives the folder another stamp. It does not if the clock was set back.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return false;
        };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        now.duration_since(changed).is_ok_and(|age| age > TIME_STEP)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_stamp_counts_only_once_a_later_change_would_give_another_one() {
        let stamp = FolderStamp { identity: (1, 2), changed: (1_000, 500_000_000) };
        let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
        assert!(!stamp.is_settled(at(1_000_500)));
        assert!(!stamp.is_settled(at(1_000_600)));
        assert!(stamp.is_settled(at(1_000_601)));
        assert!(!stamp.is_settled(at(1_000_499)), "the clock was set back");
        assert!(!FolderStamp { changed: (-1, 0), ..stamp }.is_settled(at(1)));
    }

    #[test]
    fn a_removed_file_and_another_folder_change_the_stamp() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("journal");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("log"), "").unwrap();
        let stamp = settled(&folder);
        assert_eq!(settled(&folder), stamp);
        fs::write(folder.join("log"), "content").unwrap();
        assert_eq!(settled(&folder), stamp, "it is still the same file");
        fs::remove_file(folder.join("log")).unwrap();
        let without = settled(&folder);
        assert_ne!(without, stamp);
        fs::rename(&folder, parent.path().join("old")).unwrap();
        assert_eq!(FolderStamp::of(&folder), None);
        fs::create_dir(&folder).unwrap();
        assert_ne!(settled(&folder), without);
    }

    /// The stamp of a folder once it has one.
    fn settled(folder: &Path) -> FolderStamp {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(stamp) = FolderStamp::of(folder) {
                return stamp;
            }
            assert!(Instant::now() < end, "timeout while waiting for the stamp of {}", folder.display());
            std::thread::yield_now();
        }
    }
}
