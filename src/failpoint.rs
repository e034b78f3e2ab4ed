//! Failpoints: points between two steps at which a test kills this process as `kill -9` does.
//!
//! They do nothing without the feature `failpoints`, which a release never has. With it, the environment variable
//! FAILPOINTS enables them: `runner: claimed=return`, several separated by `;`.

/// The failpoints of the runner, in their order. The worker starts after the first [`RUNNER_BEFORE_START`] of them.
pub const RUNNER: [&str; 12] = [
    "runner: before claim",
    "runner: claim written",
    "runner: claim linked",
    "runner: claimed",
    "runner: output opened",
    "runner: worker started",
    "runner: process written",
    "runner: worker ended",
    "runner: exit file written",
    "runner: exit synced",
    "runner: claim removed",
    "runner: exit written",
];

/// How many of [`RUNNER`] come before the worker's start.
pub const RUNNER_BEFORE_START: usize = 5;

/// The failpoints of a runner that reports for its program, in their order: between `runner: worker ended` and
/// `runner: exit file written`.
pub const RUNNER_REPORT: [&str; 2] = ["runner: program end noted", "runner: reported"];

/// The failpoints of the manager, in the order of a message that launches workers.
pub const MANAGER: [&str; 15] = [
    "manager: decoding",
    "manager: received",
    "manager: deciding",
    "manager: in a rule",
    "manager: decided",
    "manager: committed",
    "manager: kept",
    "manager: one replied",
    "manager: replied",
    "manager: checklist file new",
    "manager: checklist file renamed",
    "manager: checklist written",
    "manager: launching",
    "manager: runner started",
    "manager: launched",
];

/// The failpoints of the process that makes a forecast for the manager, in their order.
pub const FORECASTER: [&str; 2] = ["forecaster: made", "forecaster: file written"];

/// The failpoint of a manager that loads the rules for the first time.
pub const LOADING_RULES: &str = "manager: loading rules";

/// The failpoints of a journal's migration; it passes both once for each version.
pub const MIGRATION: [&str; 2] = ["journal: migrated", "journal: migration committed"];

/// The failpoints of a backup, in their order.
pub const BACKUP: [&str; 3] = ["backup: copied", "backup: checked", "backup: renamed"];

/// The failpoints of a restore, in their order. It passes those before the decision and then puts the restored journal into its place.
pub const RESTORE: [&str; 8] = [
    "restore: copied",
    "restore: staged",
    "restore: decided",
    "restore: checklist kept",
    "restore: checklist written",
    "restore: file set aside",
    "restore: in place",
    "restore: finished",
];

/// The failpoints of the message broker, in the order of a request.
pub const BROKER: [&str; 4] =
    ["broker: request taken", "broker: request handed over", "broker: reply taken", "broker: reply sent"];

/// Kill this process if a test enabled the failpoint.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    if fail::eval(name, |_| ()).is_some() {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Kill this process if a test enabled the failpoint.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn pass(_name: &str) {}

/// Read FAILPOINTS, once for the process.
#[cfg(feature = "failpoints")]
pub fn set_up() {
    // Dropping the scenario would disable the failpoints.
    std::mem::forget(fail::FailScenario::setup());
}

/// Read FAILPOINTS, once for the process.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn set_up() {}
