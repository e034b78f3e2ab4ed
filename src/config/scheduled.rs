//! An entry of `scheduled workers`, as the scheduler uses it.

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::times::Times;

/// A worker that is launched when its time comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledWorker {
    /// The worker's module.
    pub module: String,
    /// `cmd line opts`: its arguments.
    pub args: Vec<String>,
    /// `host`: where it runs; on this one without it.
    pub host: Option<String>,
    /// `every` and `at`, or `cron`: when.
    pub times: Times,
    /// The same as it is written: `every day at 05:15`.
    pub when: String,
    /// `timezone`: where `times` is read off a clock.
    pub zone: TimeZone,
    /// `catch up`: how to treat missed times.
    pub catch_up: CatchUp,
}

/// How to treat times at which the scheduler did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are lost, as with NEMO_Nowcast; the log says which.
    #[default]
    None,
    /// The last of them is launched.
    Latest,
    /// Each of them is launched, the oldest first.
    All,
}

impl ScheduledWorker {
    /// What names an entry from one start of the scheduler to the next: the worker, its arguments and its times.
    #[must_use]
    pub fn item(&self) -> String {
        let host = self.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        let words = [std::slice::from_ref(&self.module), &self.args].concat().join(" ");
        format!("{words}{host} ({})", self.when)
    }
}
