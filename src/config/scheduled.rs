//! An entry of `scheduled workers`, as the scheduler uses it.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::times::Times;
use nowcast_core::next_worker::last_part;
use nowcast_core::{CycleFormat, CycleOption};

/// A worker that is launched at scheduled times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledWorker {
    /// The worker's module.
    pub module: String,
    /// `cmd line opts`: its arguments.
    pub args: Vec<String>,
    /// `host`: the host; `None` for this machine.
    pub host: Option<String>,
    /// `every` and `at`, or `cron`: the times of the launches.
    pub times: Times,
    /// The times as written, such as `every day at 05:15`.
    pub when: String,
    /// `timezone`: the time zone of `times`.
    pub zone: TimeZone,
    /// `catch up`: how to treat missed times.
    pub catch_up: CatchUp,
    /// `cycle` and `shift`: the cycle of the launch for a time. It does not identify the entry.
    pub cycle: Option<CycleFormat>,
}

/// How to treat times at which the scheduler did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are skipped, as with NEMO_Nowcast; the log lists them.
    #[default]
    None,
    /// The latest one is launched.
    Latest,
    /// All are launched, the oldest first.
    All,
}

impl ScheduledWorker {
    /// Return the worker's name in the message registry.
    #[must_use]
    pub fn name(&self) -> &str {
        last_part(&self.module)
    }

    /// Return what the launch for a scheduled time says about its cycle.
    #[must_use]
    pub fn cycle_at(&self, due: jiff::Timestamp) -> Option<CycleOption> {
        let label = self.cycle.as_ref()?.label(&due.to_zoned_datetime(self.zone.clone()));
        // A time at the end of the calendar has no label; every other one has.
        label.ok().map(CycleOption::Label)
    }

    /// Return a name of the entry that is the same at each start of the scheduler: worker, arguments, host and times.
    #[must_use]
    pub fn item(&self) -> String {
        let host = self.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        let words = [std::slice::from_ref(&self.module), &self.args].concat().join(" ");
        format!("{words}{host} ({})", self.when)
    }
}
