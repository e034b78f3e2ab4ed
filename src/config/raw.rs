//! The sections of `nowcast.yaml` that we read, as written in the file.

use indexmap::IndexMap;
use jiff::SignedDuration;
use nowcast_core::RetryDelay;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{duration, size};

/// `zmq:`
#[derive(Debug, Deserialize)]
pub(super) struct RawZmq {
    pub host: String,
    /// Our setting: the address that the broker binds to.
    pub bind: Option<String>,
    pub ports: RawPorts,
}

/// `zmq: ports:`; its `logging` is read in `log_ports`.
#[derive(Debug, Deserialize)]
pub(super) struct RawPorts {
    pub manager: u16,
    pub workers: u16,
}

/// `broker:`, a section of ours.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBroker {
    pub redeliver: Option<bool>,
    pub managers: Option<RawManagers>,
}

/// `broker: managers:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawManagers {
    One,
    Many,
}

/// `message registry:` without the workers, whose keys can be anything.
#[derive(Debug, Deserialize)]
pub(super) struct RawRegistry {
    #[serde(rename = "next workers module")]
    pub next_workers_module: String,
    /// Our setting: the prefix that `worker("name")` in a rule adds to the name.
    #[serde(rename = "workers package")]
    pub workers_package: Option<String>,
}

/// `workers: NAME:`, a section of ours.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorker {
    pub command: Option<Vec<String>>,
    pub exec: Option<Vec<String>>,
    #[serde(rename = "failure status", default)]
    pub failure_status: Vec<i32>,
    #[serde(rename = "max running")]
    pub max_running: Option<u32>,
    #[serde(rename = "max cycles")]
    pub max_cycles: Option<u32>,
    pub timeout: Option<RawSpan>,
    pub retries: Option<u32>,
    #[serde(rename = "retry delay")]
    pub retry_delay: Option<RawRetryDelay>,
    pub folder: Option<String>,
    pub environment: Option<IndexMap<String, serde_yaml::Value>>,
    pub umask: Option<serde_yaml::Value>,
    pub nice: Option<i32>,
    #[serde(rename = "memory limit")]
    pub memory_limit: Option<RawSize>,
}

/// `journal:`, a section of ours.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJournal {
    pub folder: Option<String>,
    pub keep: Option<RawSpan>,
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

/// An amount of memory such as `4 GB`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawSize(pub u64);

impl<'de> Deserialize<'de> for RawSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        size::parse(&text).map(RawSize).map_err(D::Error::custom)
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

/// `run:`, of which only the hosts are read; the rest belongs to the users' workers.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawRun {
    #[serde(rename = "enabled hosts", default)]
    pub enabled_hosts: Option<IndexMap<String, Option<RawHost>>>,
}

/// `run: enabled hosts: HOST:`
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawHost {
    pub envvars: Option<String>,
    pub python: Option<String>,
    #[serde(rename = "config file")]
    pub config_file: Option<String>,
}
