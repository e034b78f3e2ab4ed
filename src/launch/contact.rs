//! [`Contact`]: what is known of a run whose host is asked for it, for people who look.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Contact with a run's host is lost: the file `contact` of the run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The host.
    pub host: String,
    /// When the launching command ended.
    pub since: Timestamp,
    /// How it ended.
    pub why: String,
    /// When the host was asked last.
    pub asked: Timestamp,
    /// Whether it said that the run is still there.
    pub is_there: bool,
    /// What it said, or why it said nothing.
    pub said: String,
}

impl fmt::Display for Contact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, why, said, .. } = self;
        write!(out, "contact with {host} is lost ({why}); ")?;
        if self.is_there {
            write!(out, "asked, it says that the run is still there ({said}); it is asked again")
        } else {
            write!(out, "asked for the run, it gives no answer ({said}); it is asked again")
        }
    }
}
