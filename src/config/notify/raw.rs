//! `notifications:` as written in the file. The targets repeat keys, since serde cannot flatten a struct that refuses
//! unknown keys.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::config::names::Names;
use crate::config::raw::RawSpan;

/// A webhook.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawWebhook {
    pub url: String,
    pub method: Option<String>,
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    pub body: Option<String>,
    pub workers: Option<Names>,
    pub types: Option<Names>,
    pub alarms: Option<Names>,
    // Only targets in a list have this key.
    #[serde(rename = "name")]
    pub _name: Option<String>,
}

/// An e-mail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawEmail {
    pub to: Names,
    pub from: String,
    pub server: String,
    pub port: Option<u16>,
    pub security: Option<String>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub subject: Option<String>,
    pub body: Option<String>,
    pub workers: Option<Names>,
    pub types: Option<Names>,
    pub alarms: Option<Names>,
    #[serde(rename = "name")]
    pub _name: Option<String>,
}

/// A heartbeat.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawHeartbeat {
    pub url: String,
    pub every: RawSpan,
    pub method: Option<String>,
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    #[serde(rename = "name")]
    pub _name: Option<String>,
}
