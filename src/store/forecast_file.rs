//! [`StoredForecast`]: the forecast of expected messages, in a file in the journal's folder. A process of the manager writes it; the manager
//! and `nowcast status` read it. The file can be lost without harm: the next forecast makes it again.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{failpoint, private_folder};
use nowcast_core::ExpectedForecast;

/// The file's name.
const NAME: &str = "forecast.json";

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
        let new = journal.join(format!("{NAME}.new"));
        let mut file = private_folder::open_file(&new)?;
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        failpoint::pass("forecaster: file written");
        fs::rename(new, path(journal))
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
    journal.join(NAME)
}

#[cfg(test)]
mod tests {
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
}
