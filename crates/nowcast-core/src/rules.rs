//! The interface to the user's rules, independent of their language.

use jiff::{SignedDuration, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::cycle::Cycle;
use crate::cycles::{Cycles, NoteScope};
use crate::level::Level;
use crate::message::Message;
use crate::next_worker::NextWorker;
use pyyaml::Value;

/// The user's rules: which workers run after a message.
pub trait Rules {
    /// Call `after_<source>(msg, config, checklist)`.
    ///
    /// The result depends only on the input.
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult;
}

/// The rules of a decision that calls none, such as that on most commands.
#[derive(Debug, Clone, Copy)]
pub struct NoRules;

impl Rules for NoRules {
    fn call_after(&self, _: &RuleInput<'_>) -> RuleCallResult {
        RuleCallResult::new(Err(RuleError::Failed("this decision calls no rule".to_owned())))
    }
}

/// Everything that a rule sees.
#[derive(Debug, Clone, Copy)]
pub struct RuleInput<'a> {
    /// The message, with its cycle as it was recorded.
    pub message: &'a Message,
    /// The configuration.
    pub config: &'a Value,
    /// The checklist.
    pub checklist: &'a Value,
    /// The kept cycles and the notes, for `last(…)`; `None` if they are not known.
    pub cycles: Option<&'a Cycles>,
    /// The only clock of a rule.
    pub now: &'a ZonedDateTime,
}

/// One call of a rule, with its log lines and its result.
#[derive(Debug)]
pub struct RuleCallResult {
    /// The lines of `log.info(…)` and the other levels, in order, even if the rule failed.
    pub log: Vec<LogLine>,
    /// The result.
    pub result: Result<ReturnedLaunches, RuleError>,
    /// The position of the rule, as `next_workers.lua:12`; `None` if it is missing.
    pub location: Option<String>,
    /// The values that it read, in order and each once: keys of the checklist as `weather forecast: 12`, and messages as
    /// `last: watch_NEMO success (2026-11-24)`.
    pub keys_read: Vec<String>,
    /// Whether it called `last(…)` while the notes were not known, so that it may return something else.
    pub lacks_notes: bool,
}

impl RuleCallResult {
    /// Create a call that logged and read nothing.
    #[must_use]
    pub fn new(result: Result<ReturnedLaunches, RuleError>) -> Self {
        Self { log: Vec::new(), result, location: None, keys_read: Vec::new(), lacks_notes: false }
    }
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// Its text, of one or more lines.
    pub text: String,
}

/// A file of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFile {
    /// Its path inside the rules' folder.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// The result of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReturnedLaunches {
    /// The workers to launch next, in the order that the rule gave.
    pub next_workers: Vec<NextWorker>,
    /// The join to open.
    pub join: Option<JoinRequest>,
}

/// A join to open: `Join{ name =, wait_for = {…}, launch = {…}, timeout = "3h" }`, or NEMO_Nowcast's race set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Its name; `None` for a race set, which gets the name of the worker whose rule opens it.
    pub name: Option<String>,
    /// The required messages.
    pub wait_for: Vec<Requirement>,
    /// Launches for when it is complete, beside its pending ones.
    pub launch: Vec<NextWorker>,
    /// How long it may be incomplete before its launches are parked.
    pub timeout: Option<SignedDuration>,
    /// The messages that count in it, whenever they came: `cycle` or `since`. `None` for a join that counts from its opening on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<NoteScope>,
    /// The position in the rules where it is created, as `next_workers.lua:12`; `None` if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Messages that a join requires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The sending worker.
    pub worker: String,
    /// Their type; `None` for each type that reaches the worker's rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// How many are still required.
    pub count: u32,
    /// Their cycle, if it is another one than that of a join by cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
}

/// Why a rule returned no result. The message was acknowledged and is in the journal.
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
    /// The rule raised an error, exceeded a limit or returned an invalid result. The text has file, line and the Lua
    /// traceback.
    #[error("{0}")]
    Failed(String),
}
