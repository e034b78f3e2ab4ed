//! The sections of `nowcast.yaml` that we read, as written in the file.

use indexmap::IndexMap;
use jiff::SignedDuration;
use nowcast_core::RetryDelay;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::{duration, size};

/// The message broker's address.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RawZmq {
    /// The broker's host, to which manager and workers connect.
    #[schemars(with = "Option<String>")]
    pub host: String,
    /// The address that the broker binds to; `*` for all interfaces. Without it: loopback if `host` is loopback, else all.
    pub bind: Option<String>,
    /// The ports of this system. Two systems on one machine need different ones.
    #[schemars(with = "Option<RawPorts>")]
    pub ports: RawPorts,
}

/// `zmq: ports:`
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RawPorts {
    /// The broker's port for the manager.
    #[schemars(with = "Option<u16>")]
    pub manager: u16,
    /// The broker's port for workers.
    #[schemars(with = "Option<u16>")]
    pub workers: u16,
    // Read in `log_ports`.
    /// The ports on which programs publish log messages: `message_broker`, `manager`, `workers` and others.
    #[serde(rename = "logging")]
    #[schemars(with = "Option<IndexMap<String, RawLogPorts>>")]
    pub _logging: Option<IgnoredAny>,
}

/// A port, a port of another host as `'host.example:4345'`, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum RawLogPorts {
    One(RawLogPort),
    Several(Vec<RawLogPort>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum RawLogPort {
    Number(u16),
    OfHost(String),
}

/// How the message broker treats managers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBroker {
    /// Whether requests that a manager left unanswered are sent to the next one.
    pub redeliver: Option<bool>,
    /// Whether one manager at a time may connect, or several share the messages.
    pub managers: Option<RawManagers>,
}

/// `broker: managers:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawManagers {
    One,
    Many,
}

/// `message registry:` without the workers, whose keys can be anything.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RawRegistry {
    /// The name of the rules: `next_workers` is `rules/next_workers.lua`.
    #[serde(rename = "next workers module")]
    #[schemars(with = "Option<String>")]
    pub next_workers_module: String,
    /// The prefix that `worker("name")` in a rule adds to the name.
    #[serde(rename = "workers package")]
    pub workers_package: Option<String>,
}

/// How a worker is run. The options of a launch take precedence.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorker {
    /// A program that reports to the manager itself, and its arguments. `{config}`, `{folder}`, `{worker}` and `{run}` are replaced.
    pub command: Option<Vec<String>>,
    /// Any program and its arguments; nowcast reports for it. `{config}`, `{folder}` (of the configuration file), `{worker}` and `{run}` are
    /// replaced.
    pub exec: Option<Vec<String>>,
    /// Exit statuses of `exec` that are reported as `failure`, and not as `crash`.
    #[serde(rename = "failure status", default)]
    pub failure_status: Vec<i32>,
    /// The most runs of this worker at once; others wait.
    #[serde(rename = "max running")]
    pub max_running: Option<u32>,
    /// The most cycles that are not done in which this worker is launched; others wait.
    #[serde(rename = "max cycles")]
    pub max_cycles: Option<u32>,
    /// Time after which a run is stopped.
    pub timeout: Option<RawSpan>,
    /// The number of retries after a `crash` or a `failure`.
    pub retries: Option<u32>,
    /// Time before a retry: `5m`, or `1m, x2, up to 1h`.
    #[serde(rename = "retry delay")]
    pub retry_delay: Option<RawRetryDelay>,
    /// The working folder, relative to that of the configuration file.
    pub folder: Option<String>,
    /// Variables of the environment. The `env` of a launch takes precedence.
    #[schemars(with = "Option<IndexMap<String, VariableSchema>>")]
    pub environment: Option<IndexMap<String, serde_yaml::Value>>,
    /// The permissions that new files do not get, in octal and in quotes, such as `'027'`.
    #[schemars(with = "Option<String>")]
    pub umask: Option<serde_yaml::Value>,
    /// The priority of the process: from -20 (the highest priority) to 19.
    pub nice: Option<i32>,
    /// The most memory that each process of the worker may allocate, such as `4 GB`.
    #[serde(rename = "memory limit")]
    pub memory_limit: Option<RawSize>,
}

/// The journal: every message, decision and run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJournal {
    /// The folder of the journal and of the runs' output. Without it: beside the checklist file.
    pub folder: Option<String>,
    /// The age after which entries are removed, with the output of their runs, such as `400d`, or `forever`.
    pub keep: Option<RawAge>,
    /// The age after which the output of runs is removed, such as `30d`, or `forever`.
    #[serde(rename = "keep outputs")]
    pub keep_outputs: Option<RawAge>,
}

/// An age up to which something is kept: a duration, or `forever`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawAge(pub Option<SignedDuration>);

impl<'de> Deserialize<'de> for RawAge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim() == "forever" {
            return Ok(Self(None));
        }
        duration::parse(&text)
            .map(|age| Self(Some(age)))
            .map_err(|error| D::Error::custom(format!("{error}, or as forever")))
    }
}

impl JsonSchema for RawAge {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "age".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "[0-9]|^forever$", "examples": ["30d", "400d", "forever"] })
    }
}

/// A duration such as `10m`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawSpan(pub SignedDuration);

impl<'de> Deserialize<'de> for RawSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration::parse(&text).map(RawSpan).map_err(D::Error::custom)
    }
}

impl JsonSchema for RawSpan {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "[0-9]",
            "examples": ["30s", "10m", "3h", "1h 30m", "90d"],
        })
    }
}

/// The value of a variable of the environment, for the schema.
struct VariableSchema;

impl JsonSchema for VariableSchema {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "variable".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"] })
    }
}

/// An amount of memory such as `4 GB`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawSize(pub u64);

impl<'de> Deserialize<'de> for RawSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        size::parse(&text).map(RawSize).map_err(D::Error::custom)
    }
}

impl JsonSchema for RawSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "[0-9]", "examples": ["500 MB", "4 GB"] })
    }
}

/// The delay of retries: `5m`, or `1m, x2, up to 1h`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawRetryDelay(pub RetryDelay);

impl<'de> Deserialize<'de> for RawRetryDelay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration::parse_growing(&text).map(RawRetryDelay).map_err(D::Error::custom)
    }
}

/// Hosts on which workers run; the rest belongs to the users' workers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct RawRun {
    /// The hosts on which workers can be launched by ssh.
    #[serde(rename = "enabled hosts", default)]
    pub enabled_hosts: Option<IndexMap<String, Option<RawHost>>>,
}

/// A host. A launch by ssh needs all three settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct RawHost {
    /// A file on the host that its shell sources first.
    pub envvars: Option<String>,
    /// The host's Python interpreter.
    pub python: Option<String>,
    /// The configuration file's path on the host.
    #[serde(rename = "config file")]
    pub config_file: Option<String>,
}

impl JsonSchema for RawRetryDelay {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "retry delay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["5m", "1m, x2, up to 1h"] })
    }
}
