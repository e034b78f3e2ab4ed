//! [`NextWorker`]: a worker that is to be launched, and how.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use pyyaml::python;

/// The host on which the manager runs.
pub const LOCALHOST: &str = "localhost";

/// A worker to launch: the peer's class of the same name, and more options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextWorker {
    /// The dotted name of the worker's module, `nowcast.workers.download_weather`.
    pub module: String,
    /// The worker's command line arguments after the configuration file.
    pub args: Vec<String>,
    /// Where it runs: `localhost`, or a key of `run: enabled hosts`.
    pub host: String,
    /// When, how long and how often.
    #[serde(default, skip_serializing_if = "LaunchOptions::is_default")]
    pub options: LaunchOptions,
    /// Where the rule made it, as `next_workers.lua:12`; `None` if no rule did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// What a rule says of a launch beside what and where. What it leaves out, the configuration may say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchOptions {
    /// `delay`: how long to wait from the moment when nothing else stands in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<SignedDuration>,
    /// `at`: not before that moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// `timeout`: it is ended when it runs longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SignedDuration>,
    /// `retries`: how often it is launched again after it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// `retry_delay`: how long to wait before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<SignedDuration>,
    /// `env`: environment variables for it, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
}

impl LaunchOptions {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is wrong with the name of a worker, its module or a host; the rules refuse the same.
#[must_use]
pub fn name_problem(role: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(format!("{role} is empty"));
    }
    let is_bad = name.contains(|sign: char| sign.is_whitespace() || sign.is_control());
    is_bad.then(|| format!("{role} is {name:?}; a name has no spaces"))
}

impl NextWorker {
    /// A launch on this host, at once and without options.
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

    /// The worker's name in the message registry: the last part of its module's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.module.rsplit('.').next().unwrap_or(&self.module)
    }
}

impl fmt::Display for NextWorker {
    /// As Python shows the peer's class, since that is what the peer's log says.
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
