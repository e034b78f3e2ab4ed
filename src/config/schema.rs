//! The JSON Schema of `nowcast.yaml`, for editors: from the types that read the sections, and from those below for what is read by hand. It
//! checks nothing.

use indexmap::IndexMap;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::Value as Json;

use super::check_security::RawSecurity;
use super::cycles::RawCycles;
use super::default_settings;
use super::expect::RawExpectation;
use super::hosts::RawLauncher;
use super::names::Names;
use super::notify::raw::{RawEmail, RawHeartbeat, RawWebhook};
use super::raw::{RawBroker, RawJournal, RawRegistry, RawRun, RawWorker, RawZmq};
use super::schedule::RawScheduled;
use super::serde_value::to_serde;

/// Return the schema. All sections can be missing, since each has a default or is in another file.
#[must_use]
pub fn schema() -> Json {
    let generator =
        SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<Sections>().to_value();
    add_defaults(
        &mut schema,
        &serde_json::to_value(to_serde(&default_settings::SETTINGS)).unwrap_or_default(),
    );
    schema
}

/// Add the default of each setting that has one and is not a section.
fn add_defaults(schema: &mut Json, defaults: &Json) {
    for (name, default) in defaults.as_object().into_iter().flatten() {
        let Some(setting) = schema.pointer_mut("/properties").and_then(|settings| settings.get_mut(name))
        else {
            continue;
        };
        if !default.is_object() {
            setting["default"] = default.clone();
        } else if !default_settings::WHOLE.contains(&name.as_str()) {
            add_defaults(setting, default);
        }
    }
}

/// A nowcast system. Other sections than these belong to the rules and the workers.
#[derive(JsonSchema)]
#[schemars(title = "nowcast.yaml")]
#[expect(dead_code, reason = "only its schema is used")]
struct Sections {
    /// Files whose sections belong to this configuration: paths and patterns, relative to this file.
    include: Option<Names>,
    /// The file of the checklist.
    #[schemars(rename = "checklist file")]
    checklist_file: Option<String>,
    /// The interpreter of workers that are Python modules.
    python: Option<String>,
    zmq: Option<RawZmq>,
    #[schemars(rename = "message registry")]
    registry: Option<RegistrySection>,
    /// How each worker is run. One that is not here is a built-in worker or a Python module.
    workers: Option<IndexMap<String, RawWorker>>,
    /// The workers that are launched at scheduled times, each as `- NAME: {every: day, at: '05:15'}`.
    #[schemars(rename = "scheduled workers")]
    scheduled: Option<Vec<ScheduleEntry>>,
    /// Messages that must arrive before a time of day; an alarm is raised for one that is late.
    expect: Option<Vec<RawExpectation>>,
    cycles: Option<RawCycles>,
    run: Option<RawRun>,
    /// How workers are launched on each host.
    hosts: Option<IndexMap<String, Option<RawLauncher>>>,
    /// Who is notified of messages and alarms: a webhook, an e-mail or a heartbeat for each name.
    #[schemars(with = "Option<TargetSections>")]
    notifications: (),
    #[schemars(rename = "slack notifications")]
    slack: Option<SlackSection>,
    journal: Option<RawJournal>,
    broker: Option<RawBroker>,
    security: Option<RawSecurity>,
    logging: Option<Logging>,
}

/// Which messages there are.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct RegistrySection {
    #[schemars(flatten)]
    module: RawRegistry,
    /// The manager's replies, and their meaning for the log.
    manager: Option<IndexMap<String, Json>>,
    /// The workers that may send messages. One without message types has `success`, `failure` and `crash`.
    workers: Option<IndexMap<String, Option<RegisteredMessages>>>,
}

/// The message types of a worker, and their meaning for the log.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct RegisteredMessages {
    /// The key of the checklist under which the worker's payloads are.
    #[schemars(rename = "checklist key")]
    checklist_key: Option<Json>,
    /// The worker did its work.
    success: Option<Json>,
    /// The worker could not do its work.
    failure: Option<Json>,
    /// The worker ended without a report.
    crash: Option<Json>,
    #[schemars(flatten)]
    others: IndexMap<String, Json>,
}

/// A worker with its settings.
#[derive(JsonSchema)]
#[schemars(transparent, extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "only its schema is used")]
struct ScheduleEntry(IndexMap<String, RawScheduled>);

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum TargetSections {
    Named(IndexMap<String, TargetSection>),
    Listed(Vec<TargetSection>),
}

/// A target of notifications.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum TargetSection {
    Webhook(RawWebhook),
    Email(RawEmail),
    Heartbeat(RawHeartbeat),
}

/// Messages for Slack: an environment variable with the URL of a channel (`SLACK_…`), and the workers whose messages go there.
#[derive(JsonSchema)]
#[schemars(transform = let_channels)]
#[expect(dead_code, reason = "only its schema is used")]
struct SlackSection {
    /// The URL of the log files, for links.
    #[schemars(rename = "website log url")]
    log_url: Option<Json>,
    /// The URL of the checklist, for links.
    #[schemars(rename = "website checklist url")]
    checklist_url: Option<Json>,
}

fn let_channels(schema: &mut Schema) {
    let workers = json_schema!({ "type": ["array", "string"], "items": { "type": "string" }, "description": "The workers whose messages go there." });
    schema.insert("patternProperties".to_owned(), serde_json::json!({ "^SLACK": workers }));
}

/// Python's logging dictionary, or two: `publisher` and `aggregator`. It replaces the whole default.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Logging {
    #[schemars(flatten)]
    local: Dictionary,
    /// The dictionary of programs that publish their log messages.
    publisher: Option<Dictionary>,
    /// The dictionary of the log aggregator, which writes the published log messages.
    aggregator: Option<Dictionary>,
}

/// A logging dictionary, as Python's `logging.config.dictConfig` has it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Dictionary {
    /// 1
    version: Option<u8>,
    /// Whether loggers of Python that are not listed fall silent.
    disable_existing_loggers: Option<bool>,
    /// The forms of lines.
    formatters: Option<IndexMap<String, Json>>,
    /// Where lines go: the console, files and others, with their levels.
    handlers: Option<IndexMap<String, Json>>,
    /// The handlers and levels of single loggers.
    loggers: Option<IndexMap<String, Json>>,
    /// The handlers and the level of all other loggers.
    root: Option<IndexMap<String, Json>>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::sections;

    #[test]
    fn the_schema_has_the_sections_that_are_read() {
        let schema = schema();
        let sections: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(sections, BTreeSet::from(sections::KNOWN));
    }
}
