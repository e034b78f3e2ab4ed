//! `notifications:` as written in the file. The targets repeat keys, since serde cannot flatten a struct that refuses
//! unknown keys.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::names::Names;
use crate::config::raw::RawSpan;

/// A text that may be secret: an error must not show it.
#[derive(Debug, JsonSchema)]
pub(in crate::config) struct RawSecret(pub String);

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = RawSecret;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawSecret, E> {
        Ok(RawSecret(text.to_owned()))
    }

    // The errors of serde show the value.
    fn visit_bool<E: Error>(self, _: bool) -> Result<RawSecret, E> {
        Err(not_a_text())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<RawSecret, E> {
        Err(not_a_text())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<RawSecret, E> {
        Err(not_a_text())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<RawSecret, E> {
        Err(not_a_text())
    }
}

fn not_a_text<E: Error>() -> E {
    E::custom("must be a text; write it in quotes")
}

/// A webhook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawWebhook {
    /// The URL, which can have `$(NOWCAST.ENV.NAME)` for a secret.
    pub url: RawSecret,
    /// The method. Without it: `POST`.
    pub method: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    pub headers: IndexMap<String, RawSecret>,
    /// The body, with placeholders such as `{text}`.
    pub body: Option<String>,
    /// `slack` or `none`: whether Slack's marks in texts are escaped.
    pub escape: Option<String>,
    /// The workers whose messages are wanted: a list, or `all`.
    pub workers: Option<Names>,
    /// The types of those messages: a list, or `all`.
    pub types: Option<Names>,
    /// The alarms that are wanted: a list, or `all`.
    pub alarms: Option<Names>,
    /// The target's name, in a list of targets.
    #[serde(rename = "name")]
    pub _name: Option<String>,
}

/// An e-mail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawEmail {
    /// The recipients.
    pub to: Names,
    /// The sender.
    pub from: String,
    /// The mail server.
    pub server: String,
    /// The server's port.
    pub port: Option<u16>,
    /// `starttls`, `tls` or `none`.
    pub security: Option<String>,
    /// The user name at the server; `password` belongs to it.
    pub user: Option<RawSecret>,
    /// The password, as `$(NOWCAST.ENV.NAME)`.
    pub password: Option<RawSecret>,
    /// The subject, with placeholders such as `{text}`.
    pub subject: Option<String>,
    /// The text, with placeholders such as `{text}`.
    pub body: Option<String>,
    /// The workers whose messages are wanted: a list, or `all`.
    pub workers: Option<Names>,
    /// The types of those messages: a list, or `all`.
    pub types: Option<Names>,
    /// The alarms that are wanted: a list, or `all`.
    pub alarms: Option<Names>,
    /// The target's name, in a list of targets.
    #[serde(rename = "name")]
    pub _name: Option<String>,
}

/// A heartbeat.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawHeartbeat {
    /// The URL, which can have `$(NOWCAST.ENV.NAME)` for a secret.
    pub url: RawSecret,
    /// The interval, such as `5m`.
    pub every: RawSpan,
    /// The method. Without it: `GET`.
    pub method: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    pub headers: IndexMap<String, RawSecret>,
    /// The target's name, in a list of targets.
    #[serde(rename = "name")]
    pub _name: Option<String>,
}
