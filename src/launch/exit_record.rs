//! [`ExitRecord`]: how and when a run ended, as its folder records it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::MachineClock;
use nowcast_core::{BootTime, Ending, NotedTime};

/// Why a run was not started whose stop was requested before.
pub const STOPPED_BEFORE_START: &str = "stop requested before it started";

/// The file `exit`. Without `status`, `signal`, `host_report` and `not_started`, the exit is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The worker's exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The text of a host that gives no status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_report: Option<String>,
    /// Why the worker was not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<String>,
    /// When the run ended.
    pub ended: Timestamp,
    /// The same by the boot-time clock, where the kernel has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_time: Option<BootTime>,
}

impl ExitRecord {
    /// Return the record of a run that ended just now.
    #[must_use]
    pub fn now(ending: &Ending) -> Self {
        let now = MachineClock::new().read();
        let mut record = Self {
            status: None,
            signal: None,
            host_report: None,
            not_started: None,
            ended: now.timestamp(),
            boot_time: now.boot_time,
        };
        match ending {
            Ending::Status(status) => record.status = Some(*status),
            Ending::Killed(signal) => record.signal = Some(*signal),
            Ending::NotStarted(reason) => record.not_started = Some(reason.clone()),
            Ending::OnHost(said) => record.host_report = Some(said.clone()),
            // A run that was discarded has no folder.
            Ending::Unknown | Ending::Discarded => {}
        }
        record
    }

    /// Return when the run ended, by both clocks.
    #[must_use]
    pub fn noted_time(&self) -> NotedTime {
        NotedTime { wall: self.ended, boot_time: self.boot_time }
    }

    /// Return how the worker ended.
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
