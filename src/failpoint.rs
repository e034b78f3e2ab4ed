//! Failpoints: places between two steps at which a test ends this process as `kill -9` does.
//!
//! Without the feature `failpoints` they never do anything: a release has none. With it, the environment
//! variable FAILPOINTS says which are on: `runner: claimed=return`, several with `;` between them.

/// The failpoints of the runner, in the order in which it passes them. The worker's start lies between
/// [`RUNNER_BEFORE_START`] of them and the rest.
pub const RUNNER: [&str; 10] = [
    "runner: before claim",
    "runner: claim written",
    "runner: claim linked",
    "runner: claimed",
    "runner: output opened",
    "runner: worker started",
    "runner: process written",
    "runner: worker ended",
    "runner: exit file written",
    "runner: exit written",
];

/// How many of [`RUNNER`] stand before the worker's start.
pub const RUNNER_BEFORE_START: usize = 5;

/// The failpoints of the manager, in the order in which a message passes them that launches workers.
pub const MANAGER: [&str; 13] = [
    "manager: received",
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

/// The failpoints of a journal's migration; it passes both once for each version.
pub const MIGRATION: [&str; 2] = ["journal: migrated", "journal: migration committed"];

/// The failpoints of the message broker, in the order in which a request passes them.
pub const BROKER: [&str; 4] =
    ["broker: request taken", "broker: request handed over", "broker: reply taken", "broker: reply sent"];

/// Ends this process here if a test asked for it.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    if fail::eval(name, |_| ()).is_some() {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Ends this process here if a test asked for it.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn pass(_name: &str) {}

/// Reads FAILPOINTS, once for the process.
#[cfg(feature = "failpoints")]
pub fn set_up() {
    // Its end would turn the failpoints off.
    std::mem::forget(fail::FailScenario::setup());
}

/// Reads FAILPOINTS, once for the process.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn set_up() {}
