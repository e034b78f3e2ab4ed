//! One call of a rule with a case that a program gives as JSON. The result is JSON, too.
//!
//! This module fills in what a case omits, and reads nothing by itself.

use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

use super::json::JsonValue;
use crate::rules::Engine;
use nowcast_core::cycles::NoteScope;
use nowcast_core::message::Message;
use nowcast_core::notes::Note;
use nowcast_core::{
    Cycle, CycleOption, Cycles, JoinRequest, NextWorker, Number, Requirement, ReturnedLaunches,
    RuleCallResult, RuleInput,
};
use pyyaml::Value;

/// The input of a rule. Omitted values are those of the running system.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The function; by default `after_` and the message's source.
    pub function: Option<String>,
    /// The message.
    pub msg: CaseMessage,
    /// The rule's argument `config`.
    pub config: Option<JsonValue>,
    /// The rule's argument `checklist`.
    pub checklist: Option<JsonValue>,
    /// The time of the message in the ISO format.
    pub now: Option<String>,
    /// The messages that `last(…)` finds, the latest at the end.
    pub last: Option<Vec<CaseNote>>,
}

/// A message that came before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseNote {
    /// The worker that sent it.
    pub worker: String,
    /// Its type.
    pub r#type: String,
    /// Its cycle.
    pub cycle: Option<Cycle>,
    /// When it came, in the ISO format; by default at the time of the case.
    pub time: Option<String>,
    /// Its payload.
    #[serde(default)]
    pub payload: JsonValue,
}

/// The message of a case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseMessage {
    /// The worker that sends it; by default that of the function.
    pub source: Option<String>,
    /// Its type.
    pub r#type: String,
    /// Its payload.
    #[serde(default)]
    pub payload: JsonValue,
    /// Its cycle.
    #[serde(default)]
    pub cycle: Option<Cycle>,
}

/// The values for everything that a case omits.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The configuration.
    pub config: Value,
    /// The checklist.
    pub checklist: Value,
    /// The notes for `last(…)`; `None` if they are not known.
    pub cycles: Option<Cycles>,
    /// The time.
    pub now: ZonedDateTime,
}

/// The result of a rule, as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum CaseAnswer {
    /// The rule returned a result.
    RuleResult {
        /// The launches.
        next_workers: Vec<CaseLaunch>,
        /// The workers that its join waits for.
        race: Option<Vec<String>>,
        /// The whole join, if it is more than a race set.
        #[serde(skip_serializing_if = "Option::is_none")]
        join: Option<CaseJoin>,
        /// Whether the rule called `last(…)` while it was not known what that finds.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        lacks_notes: bool,
    },
    /// The rule could not be called, or failed.
    Failed {
        /// The reason, with file, line and traceback.
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

/// The options of a launch: durations in seconds, times in the ISO format.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    cycle: Option<CycleOption>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    cycle: Option<Cycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl Case {
    /// Parse a case from a line of JSON.
    ///
    /// # Errors
    /// When the line is not a case.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| format!("this is not a case: {error}"))
    }

    /// Call the rule.
    ///
    /// # Errors
    /// When the case names no rule, or its time is invalid.
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
        let message =
            Message { cycle: self.msg.cycle, ..Message::new(source, self.msg.r#type, self.msg.payload.0) };
        let config = self.config.map_or_else(|| defaults.config.clone(), |config| config.0);
        let checklist = self.checklist.map_or_else(|| defaults.checklist.clone(), |checklist| checklist.0);
        let now = now.unwrap_or_else(|| defaults.now.clone());
        let given = self.last.map(|notes| notes_of(notes, &now)).transpose()?;
        let cycles = given.as_ref().or(defaults.cycles.as_ref());
        let input =
            RuleInput { message: &message, config: &config, checklist: &checklist, cycles, now: &now };
        Ok(engine.call_function(function, &input))
    }

    /// Call the rule and return its result, or the error, for JSON.
    #[must_use]
    pub fn answer(self, engine: &Engine, defaults: &Defaults) -> CaseAnswer {
        match self.call(engine, defaults) {
            Ok(call) => call.into(),
            Err(error) => CaseAnswer::Failed { error },
        }
    }
}

/// Return the notes of the messages of a case.
fn notes_of(given: Vec<CaseNote>, now: &ZonedDateTime) -> Result<Cycles, String> {
    let note = |(number, given): (u64, CaseNote)| {
        let at = given.time.as_deref().map(|text| moment(text, now.time_zone())).transpose()?;
        let note = Note {
            message: Number(number),
            worker: given.worker,
            r#type: given.r#type,
            at: at.as_ref().unwrap_or(now).timestamp(),
            steady: None,
            run: None,
            origin: None,
            cycle: given.cycle,
            without_payload: false,
        };
        Ok((note, given.payload.0))
    };
    (1..).zip(given).map(note).collect::<Result<Vec<_>, String>>().map(Cycles::of_notes)
}

impl From<RuleCallResult> for CaseAnswer {
    fn from(call: RuleCallResult) -> Self {
        let lacks_notes = call.lacks_notes;
        match call.result {
            Ok(ReturnedLaunches { next_workers, join }) => CaseAnswer::RuleResult {
                next_workers: next_workers.into_iter().map(CaseLaunch::from).collect(),
                race: join.as_ref().map(race),
                join: join.filter(|join| !is_race_set(join)).map(CaseJoin::from),
                lacks_notes,
            },
            Err(error) => CaseAnswer::Failed { error: error.to_string() },
        }
    }
}

/// Return the workers that a join waits for, each once.
fn race(join: &JoinRequest) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for requirement in &join.wait_for {
        if !names.contains(&requirement.worker) {
            names.push(requirement.worker.clone());
        }
    }
    names
}

/// Return whether a join has only the parts of a race set of NEMO_Nowcast.
fn is_race_set(join: &JoinRequest) -> bool {
    join.name.is_none()
        && join.launch.is_empty()
        && join.timeout.is_none()
        && join.wait_for.iter().all(|requirement| requirement.r#type.is_none() && requirement.count == 1)
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
                cycle: options.cycle,
            },
        }
    }
}

impl From<JoinRequest> for CaseJoin {
    fn from(join: JoinRequest) -> Self {
        let (cycle, since) = match join.scope {
            Some(NoteScope::Cycle(cycle)) => (Some(cycle), None),
            Some(NoteScope::Since(moment)) => (None, Some(moment)),
            None => (None, None),
        };
        Self {
            cycle,
            since,
            name: join.name,
            wait_for: join.wait_for,
            launch: join.launch.into_iter().map(CaseLaunch::from).collect(),
            timeout: join.timeout.map(|timeout| timeout.as_secs_f64()),
        }
    }
}

/// Parse a time in the ISO format, with a zone in brackets or with an offset. Without either, it is in `zone`.
///
/// # Errors
/// When the text is not a time.
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
    // The zone is unknown, or its offset contradicts it.
    if pieces.time_zone_annotation().is_some() {
        return Err(refuse());
    }
    let civil = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let zone = pieces.to_numeric_offset().map_or_else(|| zone.clone(), TimeZone::fixed);
    civil.to_zoned_datetime(zone).map_err(|_| refuse())
}
