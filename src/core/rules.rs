//! What the core asks of the user's rules, whatever language they are written in.

use std::fmt;

use jiff::ZonedDateTime;

use crate::logging::Level;
use crate::message::Message;
use crate::yaml::Value;

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
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What it says; may span several lines.
    pub text: String,
}

/// What a rule returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleAnswer {
    /// The workers to launch next, in the order that the rule gave.
    pub next_workers: Vec<NextWorker>,
    /// The names of the workers that must all finish before what waits is launched (the peer's race
    /// condition); `None` if the rule opens no join.
    pub must_finish: Option<Vec<String>>,
}

/// A worker to launch: the peer's class of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextWorker {
    /// The dotted name of the worker's module, `nowcast.workers.download_weather`.
    pub module: String,
    /// The worker's command line arguments after the configuration file.
    pub args: Vec<String>,
    /// Where it runs: `localhost`, or a key of `run: enabled hosts`.
    pub host: String,
}

impl NextWorker {
    /// The worker's name in the message registry: the last part of its module's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.module.rsplit('.').next().unwrap_or(&self.module)
    }
}

impl fmt::Display for NextWorker {
    /// As Python shows the peer's class, since that is what the peer's log says.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<String> = self.args.iter().map(|arg| crate::yaml::python::repr(arg)).collect();
        write!(
            out,
            "NextWorker(module={}, args=[{}], host={})",
            crate::yaml::python::repr(&self.module),
            args.join(", "),
            crate::yaml::python::repr(&self.host)
        )
    }
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
