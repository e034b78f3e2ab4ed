//! [`NextWorker`]: the worker, arguments, host and options of a launch.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cycle::CycleOption;
use pyyaml::python;

/// The host on which the manager runs.
pub const LOCALHOST: &str = "localhost";

/// A worker to launch: NEMO_Nowcast's class of the same name, with more options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextWorker {
    /// The dotted name of the worker's module, `nowcast.workers.download_weather`.
    pub module: String,
    /// The worker's command line arguments after the configuration file.
    pub args: Vec<String>,
    /// The host: `localhost`, or a key of `run: enabled hosts`.
    pub host: String,
    /// Delay, timeout, retries and environment.
    #[serde(default, skip_serializing_if = "LaunchOptions::is_default")]
    pub options: LaunchOptions,
    /// The position in the rules that created it, as `next_workers.lua:12`; `None` if no rule did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Options of a launch. The configuration may have defaults for those that are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchOptions {
    /// `delay`: how long the launch stays pending once its run is created, after its join if it has one.
    /// A retry waits for `retry_delay` instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<SignedDuration>,
    /// `at`: the earliest moment of the launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// `timeout`: its stop is requested when it runs longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SignedDuration>,
    /// `retries`: how many times it is launched again after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// `retry_delay`: how long each retry stays pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<SignedDuration>,
    /// `env`: additional environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// `cycle`: the cycle of its run, instead of that of the message whose rule returned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycle: Option<CycleOption>,
}

impl LaunchOptions {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Return what is wrong with the name of a worker, module or host. Rules refuse the same names.
#[must_use]
pub fn name_problem(role: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(format!("{role} is empty"));
    }
    let is_bad = name.contains(|sign: char| sign.is_whitespace() || sign.is_control());
    is_bad.then(|| format!("{role} is {name:?}; a name has no spaces"))
}

impl NextWorker {
    /// Create a launch on the manager's host without options.
    #[must_use]
    pub fn new(module: impl Into<String>, args: Vec<String>) -> Self {
        Self {
            module: module.into(),
            args,
            host: LOCALHOST.to_owned(),
            options: LaunchOptions::default(),
            location: None,
        }
    }

    /// Return the worker's name in the message registry: the last part of its module's name.
    #[must_use]
    pub fn name(&self) -> &str {
        last_part(&self.module)
    }
}

/// Return the last part of a module's name: `sleep` of `nowcast.workers.sleep`.
#[must_use]
pub fn last_part(module: &str) -> &str {
    // Faster than `rsplit` for texts as short as these, and asked for all the time.
    let dot = module.bytes().rposition(|byte| byte == b'.');
    dot.map_or(module, |dot| &module[dot + 1..])
}

impl fmt::Display for NextWorker {
    /// Write it as Python shows NEMO_Nowcast's class, for inherited log lines.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "NextWorker(module={}, args={}, host={})",
            python::repr(&self.module),
            python::repr_list(&self.args),
            python::repr(&self.host)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_module() {
        for (module, name) in [("nowcast.workers.sleep", "sleep"), ("sleep", "sleep"), ("a.", "")] {
            assert_eq!(NextWorker::new(module, Vec::new()).name(), name);
        }
    }

    #[test]
    fn empty_names_and_names_with_spaces_are_refused() {
        assert_eq!(name_problem("the host", "nibi"), None);
        assert_eq!(name_problem("the host", "").as_deref(), Some("the host is empty"));
        for name in ["a b", "a\n", "\u{7f}", "\u{a0}"] {
            assert!(name_problem("the host", name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_launch_is_shown_as_python_shows_it() {
        let worker = NextWorker::new("sleep", vec!["it's".to_owned(), "12".to_owned()]);
        assert_eq!(
            worker.to_string(),
            r#"NextWorker(module='sleep', args=["it's", '12'], host='localhost')"#
        );
    }
}
