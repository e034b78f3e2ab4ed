//! [`ExitRecord`]: how and when a run ended, as its folder keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use nowcast_core::Ending;

/// The file `exit`. Without any of the endings, it is not known how the worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The worker's exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What its host says, which gives no status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_report: Option<String>,
    /// Why it was never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<String>,
    /// When that was.
    pub ended: Timestamp,
}

impl ExitRecord {
    /// For what ended just now.
    #[must_use]
    pub fn now(ending: &Ending) -> Self {
        let mut record = Self {
            status: None,
            signal: None,
            host_report: None,
            not_started: None,
            ended: Timestamp::now(),
        };
        match ending {
            Ending::Status(status) => record.status = Some(*status),
            Ending::Killed(signal) => record.signal = Some(*signal),
            Ending::NotStarted(reason) => record.not_started = Some(reason.clone()),
            Ending::OnHost(said) => record.host_report = Some(said.clone()),
            // A run that was discarded never had a folder.
            Ending::Unknown | Ending::Discarded => {}
        }
        record
    }

    /// How the worker ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self {
            Self { not_started: Some(reason), .. } => Ending::NotStarted(reason.clone()),
            Self { status: Some(status), .. } => Ending::Status(*status),
            Self { signal: Some(signal), .. } => Ending::Killed(*signal),
            Self { host_report: Some(said), .. } => Ending::OnHost(said.clone()),
            _ => Ending::Unknown,
        }
    }
}
