//! `cycles:`, a section of ours: when a cycle is done, how many there may be at once, and how long they are kept.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::ConfigCheck;
use super::checked::{Registry, WorkerSettings};
use super::problem::Severity;
use super::raw::RawSpan;
use super::words::unknown_worker;
use error_text::did_you_mean;
use indexmap::IndexMap;
use nowcast_core::{CycleFormat, CycleMessage, CyclesPolicy, cycle_format};
use pyyaml::Value;

/// The section's name.
const CYCLES: &str = "cycles";

/// The default message type.
const SUCCESS: &str = "success";

/// The message types that reach no rule, so that their arrival is not noted.
const NOT_FOR_RULES: [&str; 2] = ["need", "clear checklist"];

/// Cycles: when one is done, how many there may be at once, and how long they are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCycles {
    /// Time after which a cycle with nothing open is forgotten. Without it: 30 days.
    keep: Option<RawSpan>,
    /// The messages that end a cycle: all of them must have come.
    #[serde(default)]
    done: Vec<RawCycleMessage>,
    /// The most cycles at once that are not done; launches of others wait.
    #[serde(rename = "max active")]
    max_active: Option<u32>,
}

/// A message that ends a cycle.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCycleMessage {
    /// The worker.
    worker: String,
    /// The message type. Without it: `success`.
    r#type: Option<String>,
}

/// An error that has been reported.
pub(super) struct Reported;

impl ConfigCheck<'_> {
    /// Check `cycles:`, and `max cycles` of the workers, which needs it.
    pub(super) fn cycles(
        &mut self,
        value: &Value,
        registry: Option<&Registry>,
        workers: &IndexMap<String, WorkerSettings>,
    ) -> Option<CyclesPolicy> {
        let raw: RawCycles = match value.get(CYCLES) {
            None | Some(Value::Null) => RawCycles::default(),
            Some(section) => self.decode(section, &[CYCLES])?,
        };
        let mut done = Vec::new();
        for (place, message) in raw.done.into_iter().enumerate() {
            let r#type = message.r#type.unwrap_or_else(|| SUCCESS.to_owned());
            if let Some(registry) = registry {
                let path = [CYCLES, "done", &place.to_string()];
                self.registered_message(&path, &message.worker, &r#type, registry)?;
            }
            done.push(CycleMessage { worker: message.worker, r#type });
        }
        if raw.max_active == Some(0) {
            let text = "must be at least 1; to pause launches, use nowcast hold".to_owned();
            self.report(Severity::Error, &[CYCLES, "max active"], text);
            return None;
        }
        if done.is_empty() {
            self.refuse_limits_without_an_end(raw.max_active, workers);
        }
        let keep = raw.keep.map_or(CyclesPolicy::default().keep, |span| span.0);
        Some(CyclesPolicy { keep, done, max_active: raw.max_active, ..CyclesPolicy::default() })
    }

    /// Check `cycle` and `shift` of an entry, for times of a zone.
    pub(super) fn cycle_format(
        &mut self,
        path: &[&str],
        cycle: Option<&str>,
        shift: Option<&str>,
        zone: &TimeZone,
    ) -> Result<Option<CycleFormat>, Reported> {
        let (key, problem) = match (cycle, shift.map(cycle_format::shift).transpose()) {
            (_, Err(text)) => ("shift", text),
            (None, Ok(None)) => return Ok(None),
            (None, Ok(Some(_))) => ("shift", "moves the time of `cycle:`, which is missing".to_owned()),
            (Some(format), Ok(shift)) => match CycleFormat::parse(format, shift.unwrap_or_default(), zone) {
                Ok(cycle) => return Ok(Some(cycle)),
                Err(text) => ("cycle", text),
            },
        };
        self.report(Severity::Error, &[path, &[key]].concat(), problem);
        Err(Reported)
    }

    /// Refuse limits on cycles if no cycle is ever done.
    fn refuse_limits_without_an_end(
        &mut self,
        max_active: Option<u32>,
        workers: &IndexMap<String, WorkerSettings>,
    ) {
        let of_worker = workers.iter().find_map(|(name, worker)| Some((name, worker.limits.max_cycles?)));
        let (path, limit) = match (max_active, &of_worker) {
            (Some(limit), _) => (vec![CYCLES, "max active"], limit),
            (None, Some((name, limit))) => (vec!["workers", name.as_str(), "max cycles"], *limit),
            (None, None) => return,
        };
        let text = format!(
            "no cycle is ever done, so launches stop after {limit}; name the last messages of a cycle: \
             `cycles: {{done: [{{worker: NAME}}]}}`"
        );
        self.report(Severity::Error, &path, text);
    }

    /// Check that the registry has a message that reaches a rule.
    pub(super) fn registered_message(
        &mut self,
        path: &[&str],
        worker: &str,
        r#type: &str,
        registry: &Registry,
    ) -> Option<()> {
        let Some(known) = registry.workers.get(worker) else {
            let text = format!("{}; nothing would ever come", unknown_worker(worker, registry));
            self.report(Severity::Error, &[path, &["worker"]].concat(), text);
            return None;
        };
        let at = [path, &["type"]].concat();
        if !known.messages.contains_key(r#type) {
            let close = did_you_mean(r#type, known.messages.keys());
            let types: Vec<&str> = known.messages.keys().map(String::as_str).collect();
            let text = format!(
                "{worker} has no message type `{type}` in the message registry{close}; its types are: `{}`",
                types.join("`, `")
            );
            self.report(Severity::Error, &at, text);
            return None;
        }
        if NOT_FOR_RULES.contains(&r#type) {
            let text = format!("`{type}` is not a report of a worker; name a success or a failure");
            self.report(Severity::Error, &at, text);
            return None;
        }
        Some(())
    }
}
