//! [`LostContact`]: the state of a remote run whose launching command ended without its exit, as operators see it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The file `contact-lost` of a run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostContact {
    /// The host.
    pub host: String,
    /// When the launching command ended.
    pub since: Timestamp,
    /// How it ended.
    pub reason: String,
    /// When the host was last asked.
    pub asked_at: Timestamp,
    /// Whether the host reported that the run still exists.
    pub is_running: bool,
    /// The host's answer, or the reason why there is none.
    pub answer: String,
}

impl fmt::Display for LostContact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, reason, answer, .. } = self;
        write!(out, "contact with {host} is lost ({reason}); ")?;
        if self.is_running {
            write!(out, "the host reports that the run still exists ({answer}); asking again")
        } else {
            write!(out, "the host does not answer ({answer}); asking again")
        }
    }
}
