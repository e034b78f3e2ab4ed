//! One call of a rule from a case, as programs give and take it: JSON in, JSON out.
//!
//! It fills in what a case leaves out and reads nothing by itself.

use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

use super::json::JsonValue;
use crate::rules::Engine;
use nowcast_core::message::Message;
use nowcast_core::{JoinRequest, NextWorker, Requirement, ReturnedLaunches, RuleCallResult};
use pyyaml::Value;

/// What a rule is called with. What is left out is that of the running system.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The function; `after_` and the message's source if it is left out.
    pub function: Option<String>,
    /// The message.
    pub msg: CaseMessage,
    /// What the rule gets as `config`.
    pub config: Option<JsonValue>,
    /// What the rule gets as `checklist`.
    pub checklist: Option<JsonValue>,
    /// The time of the message, as ISO writes it.
    pub now: Option<String>,
}

/// The message of a case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseMessage {
    /// The worker that sends it; that of the function if it is left out.
    pub source: Option<String>,
    /// Its type.
    pub r#type: String,
    /// Its payload.
    #[serde(default)]
    pub payload: JsonValue,
}

/// What a case leaves out.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The configuration.
    pub config: Value,
    /// The checklist.
    pub checklist: Value,
    /// The time.
    pub now: ZonedDateTime,
}

/// What a rule answered, as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum CaseAnswer {
    /// It answered.
    RuleResult {
        /// What it launches.
        next_workers: Vec<CaseLaunch>,
        /// Whom its join waits for.
        race: Option<Vec<String>>,
        /// All of the join, if it is more than a race set.
        #[serde(skip_serializing_if = "Option::is_none")]
        join: Option<CaseJoin>,
    },
    /// It could not be called, or failed.
    Failed {
        /// Why, with file, line and traceback.
        error: String,
    },
}

/// A worker to launch, as JSON.
#[derive(Debug, Serialize)]
pub struct CaseLaunch {
    module: String,
    args: Vec<String>,
    host: String,
    #[serde(flatten)]
    options: CaseOptions,
}

/// What a rule says of a launch beside what and where; spans in seconds, moments as ISO writes them.
#[derive(Debug, Serialize)]
struct CaseOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_delay: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<(String, String)>,
}

/// A join, as JSON.
#[derive(Debug, Serialize)]
pub struct CaseJoin {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    wait_for: Vec<Requirement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    launch: Vec<CaseLaunch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<f64>,
}

impl Case {
    /// Reads a case from a line of JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| format!("this is not a case: {error}"))
    }

    /// Calls the rule.
    ///
    /// # Errors
    /// The case does not say which rule, or its time is none.
    pub fn call(self, engine: &Engine, defaults: &Defaults) -> Result<RuleCallResult, String> {
        let (function, source) = match (self.function, self.msg.source) {
            (Some(function), Some(source)) => (function, source),
            (Some(function), None) => {
                let source = function.strip_prefix("after_").unwrap_or(&function).to_owned();
                (function, source)
            }
            (None, Some(source)) => (format!("after_{source}"), source),
            (None, None) => {
                return Err("this is not a case: it has neither `function` nor `source`".to_owned());
            }
        };
        let now = self.now.as_deref().map(|text| moment(text, defaults.now.time_zone())).transpose()?;
        let message = Message::new(source, self.msg.r#type, self.msg.payload.0);
        let config = self.config.map_or_else(|| defaults.config.clone(), |config| config.0);
        let checklist = self.checklist.map_or_else(|| defaults.checklist.clone(), |checklist| checklist.0);
        Ok(engine.call_function(
            function,
            &message,
            &config,
            &checklist,
            &now.unwrap_or(defaults.now.clone()),
        ))
    }

    /// Calls the rule and answers as JSON has it.
    #[must_use]
    pub fn answer(self, engine: &Engine, defaults: &Defaults) -> CaseAnswer {
        match self.call(engine, defaults) {
            Ok(call) => call.into(),
            Err(error) => CaseAnswer::Failed { error },
        }
    }
}

impl From<RuleCallResult> for CaseAnswer {
    fn from(call: RuleCallResult) -> Self {
        match call.result {
            Ok(ReturnedLaunches { next_workers, join }) => CaseAnswer::RuleResult {
                next_workers: next_workers.into_iter().map(CaseLaunch::from).collect(),
                race: join.as_ref().map(race),
                join: join.filter(|join| !is_race_set(join)).map(CaseJoin::from),
            },
            Err(error) => CaseAnswer::Failed { error: error.to_string() },
        }
    }
}

/// Whom a join waits for, each once.
fn race(join: &JoinRequest) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for wanted in &join.wait_for {
        if !names.contains(&wanted.worker) {
            names.push(wanted.worker.clone());
        }
    }
    names
}

/// Whether a join says no more than NEMO_Nowcast's race set.
fn is_race_set(join: &JoinRequest) -> bool {
    join.name.is_none()
        && join.launch.is_empty()
        && join.timeout.is_none()
        && join.wait_for.iter().all(|wanted| wanted.r#type.is_none() && wanted.count == 1)
}

impl From<NextWorker> for CaseLaunch {
    fn from(worker: NextWorker) -> Self {
        let options = worker.options;
        let seconds = |span: Option<SignedDuration>| span.map(|span| span.as_secs_f64());
        Self {
            module: worker.module,
            args: worker.args,
            host: worker.host,
            options: CaseOptions {
                delay: seconds(options.delay),
                at: options.at,
                timeout: seconds(options.timeout),
                retries: options.retries,
                retry_delay: seconds(options.retry_delay),
                env: options.env,
            },
        }
    }
}

impl From<JoinRequest> for CaseJoin {
    fn from(join: JoinRequest) -> Self {
        Self {
            name: join.name,
            wait_for: join.wait_for,
            launch: join.launch.into_iter().map(CaseLaunch::from).collect(),
            timeout: join.timeout.map(|timeout| timeout.as_secs_f64()),
        }
    }
}

/// A moment as ISO writes it, with a zone in brackets, with an offset, or without either: then in `zone`.
///
/// # Errors
/// It is none.
pub fn moment(text: &str, zone: &TimeZone) -> Result<ZonedDateTime, String> {
    let refuse = || {
        format!(
            "{text:?} is not a time; write it as 2026-03-14T05:15:00-07:00, 2026-03-14T12:15:00Z or 2026-03-14T05:15:00"
        )
    };
    if let Ok(zoned) = text.parse() {
        return Ok(zoned);
    }
    let pieces = Pieces::parse(text).map_err(|_| refuse())?;
    // One with a zone that is unknown, or that its offset contradicts.
    if pieces.time_zone_annotation().is_some() {
        return Err(refuse());
    }
    let civil = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let zone = pieces.to_numeric_offset().map_or_else(|| zone.clone(), TimeZone::fixed);
    civil.to_zoned_datetime(zone).map_err(|_| refuse())
}
