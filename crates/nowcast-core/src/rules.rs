//! What the core asks of the user's rules, whatever language they are written in.

use jiff::{SignedDuration, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::level::Level;
use crate::message::Message;
use crate::next_worker::NextWorker;
use pyyaml::Value;

/// The user's rules: which workers run after a message.
pub trait Rules {
    /// Calls `after_<source>(msg, config, checklist)`.
    ///
    /// The answer depends on the arguments alone: `now` is the only clock that a rule sees.
    fn after(&self, message: &Message, config: &Value, checklist: &Value, now: &ZonedDateTime) -> RuleCall;
}

/// One call of a rule: what it logged on its way and how it ended.
#[derive(Debug)]
pub struct RuleCall {
    /// What the rule wrote with `log.info(…)` and its like, in order; also when it failed later.
    pub log: Vec<LogLine>,
    /// What the rule returned.
    pub result: Result<RuleAnswer, RuleError>,
    /// Where the rule is, as `next_workers.lua:12`; `None` if there is none.
    pub location: Option<String>,
    /// The parts of the checklist that it looked at, in order, each once: `weather forecast: 12`.
    pub keys_read: Vec<String>,
}

impl RuleCall {
    /// A call that logged and read nothing.
    #[must_use]
    pub fn new(result: Result<RuleAnswer, RuleError>) -> Self {
        Self { log: Vec::new(), result, location: None, keys_read: Vec::new() }
    }
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What it says; may span several lines.
    pub text: String,
}

/// A file of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFile {
    /// Its path inside the rules' folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What a rule returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleAnswer {
    /// The workers to launch next, in the order that the rule gave.
    pub next_workers: Vec<NextWorker>,
    /// The join that the rule opens, if it opens one.
    pub join: Option<JoinRequest>,
}

/// A join that a rule asks for: `Join{ name =, wait_for = {…}, launch = {…}, timeout = "3h" }`, or the
/// peer's race set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Its name; `None` for a race set, which is named after the worker whose rule opens it.
    pub name: Option<String>,
    /// What must come.
    pub wait_for: Vec<Requirement>,
    /// What is launched, beside what waits in it, when all has come.
    pub launch: Vec<NextWorker>,
    /// After how long without all of it what waits is parked.
    pub timeout: Option<SignedDuration>,
}

/// Messages that a join waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The worker that sends them.
    pub worker: String,
    /// Their type; `None` for any that reaches the worker's rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// How many must still come.
    pub count: u32,
}

/// Why a rule gave no answer. The message was kept and acknowledged all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The rules have no function of that name.
    #[error("could not find {function} in {module} module")]
    NoFunction {
        /// `after_` and the worker's name.
        function: String,
        /// The name of the rules as the configuration has it.
        module: String,
    },
    /// The rule raised an error, went past a limit or returned something that is no answer. The
    /// text says what, in which file and line, with the Lua traceback.
    #[error("{0}")]
    Failed(String),
}
