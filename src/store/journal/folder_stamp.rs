//! [`FolderStamp`]: whether a file of the journal's folder may have been removed or replaced, by one look at the folder instead
//! of one at each file.
//!
//! It never says that nothing changed if something may have.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::lock;

/// Two changes within this time may have the same time stamp: most file systems count time in steps of some milliseconds, but
/// ext3, and ext4 with small inodes, in seconds, and FAT in steps of two seconds.
const TIME_STEP: Duration = Duration::from_secs(3);

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
        let stamp = Self::read(folder)?;
        stamp.is_older(TIME_STEP, SystemTime::now()).then_some(stamp)
    }

    fn read(folder: &Path) -> Option<Self> {
        let found = fs::metadata(folder).ok()?;
        Some(Self { identity: lock::identity(&found), changed: (found.ctime(), found.ctime_nsec()) })
    }

    /// Whether the folder was changed longer ago than `time`. It was not if the clock was set back.
    fn is_older(&self, time: Duration, now: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return false;
        };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        now.duration_since(changed).is_ok_and(|age| age > time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_stamp_counts_only_once_a_later_change_would_give_another_one() {
        let stamp = FolderStamp { identity: (1, 2), changed: (1_000, 500_000_000) };
        let counts_at =
            |milliseconds| stamp.is_older(TIME_STEP, UNIX_EPOCH + Duration::from_millis(milliseconds));
        assert!(!counts_at(1_000_500) && !counts_at(1_003_500) && counts_at(1_003_501));
        assert!(!counts_at(1_000_499), "the clock was set back");
        assert!(!FolderStamp { changed: (-1, 0), ..stamp }.is_older(TIME_STEP, UNIX_EPOCH + TIME_STEP));
    }

    #[test]
    fn a_stamp_counts_where_time_has_steps_of_two_seconds() {
        let step = Duration::from_secs(2);
        // A change just before the end of such a step has the time of its beginning.
        let stamp = FolderStamp { identity: (1, 2), changed: (1_000, 0) };
        assert!(!stamp.is_older(TIME_STEP, UNIX_EPOCH + Duration::from_secs(1_000) + step));
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

    /// The stamp of a folder once a later change on this file system would give it another one.
    fn settled(folder: &Path) -> FolderStamp {
        const STEP: Duration = Duration::from_millis(100);
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(stamp) =
                FolderStamp::read(folder).filter(|stamp| stamp.is_older(STEP, SystemTime::now()))
            {
                return stamp;
            }
            assert!(Instant::now() < end, "timeout while waiting for the stamp of {}", folder.display());
            std::thread::yield_now();
        }
    }
}
