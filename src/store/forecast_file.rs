//! [`StoredForecast`]: the forecast of expected messages, in a file below the journal's folder. A process of the manager writes it; the
//! manager and `nowcast status` read it. The file can be lost without harm: the next forecast makes it again.
//!
//! Once it is there, the journal's own folder is not changed: after a change of that, the manager looks at each of its files.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{failpoint, private_folder};
use nowcast_core::ExpectedForecast;

/// The file and its folder.
const PATH: &str = "forecast/expected.json";

/// More bytes than a forecast of 1,000 deadlines takes.
const MOST_BYTES: u64 = 1 << 20;

/// An older forecast is not shown: the manager makes one each minute.
const SHOWN_FOR: SignedDuration = SignedDuration::from_mins(5);

/// A forecast of the expected messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredForecast {
    /// The moment that it was made at.
    pub at: Timestamp,
    /// One for each deadline.
    pub expected: Vec<ExpectedForecast>,
}

impl StoredForecast {
    /// Write it in place of the previous one.
    ///
    /// # Errors
    /// The disk is full, or the operating system refuses.
    pub fn write(&self, journal: &Path) -> io::Result<()> {
        let path = path(journal);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let new = path.with_extension("new");
        let mut file = private_folder::open_file(&new)?;
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        failpoint::pass("forecaster: file written");
        fs::rename(new, path)
    }

    /// Read the last one.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn read(journal: &Path) -> io::Result<Self> {
        let mut text = Vec::new();
        fs::File::open(path(journal))?.take(MOST_BYTES).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Read the last one, if it is recent.
    #[must_use]
    pub fn recent(journal: &Path, now: Timestamp) -> Option<Self> {
        Self::read(journal).ok().filter(|forecast| now.duration_since(forecast.at).abs() <= SHOWN_FOR)
    }
}

fn path(journal: &Path) -> PathBuf {
    journal.join(PATH)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_forecast_is_replaced_as_a_whole_and_shown_while_it_is_recent() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(StoredForecast::recent(folder.path(), Timestamp::UNIX_EPOCH), None);
        let later = |minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        for at in [later(1), later(2)] {
            let forecast = StoredForecast { at, expected: Vec::new() };
            forecast.write(folder.path()).unwrap();
            assert_eq!(StoredForecast::read(folder.path()).unwrap(), forecast);
        }
        assert!(StoredForecast::recent(folder.path(), later(7)).is_some());
        assert_eq!(StoredForecast::recent(folder.path(), later(8)), None);
        fs::write(path(folder.path()), "{\"at\": 7").unwrap();
        assert!(StoredForecast::read(folder.path()).is_err());
    }

    #[test]
    fn a_forecast_that_replaces_another_does_not_change_the_journals_folder() {
        let folder = tempfile::tempdir().unwrap();
        let forecast = StoredForecast { at: Timestamp::UNIX_EPOCH, expected: Vec::new() };
        forecast.write(folder.path()).unwrap();
        let opened = fs::File::open(folder.path()).unwrap();
        opened.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        forecast.write(folder.path()).unwrap();
        assert_eq!(opened.metadata().unwrap().modified().unwrap(), SystemTime::UNIX_EPOCH);
    }
}
