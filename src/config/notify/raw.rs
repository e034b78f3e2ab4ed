//! `notifications:` as written in the file. The targets repeat keys, since serde cannot flatten a struct that refuses
//! unknown keys.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::names::Names;
use crate::config::raw::RawSpan;

/// A text that may be secret: an error must not show it.
#[derive(Debug)]
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
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawWebhook {
    pub url: RawSecret,
    pub method: Option<String>,
    #[serde(default)]
    pub headers: IndexMap<String, RawSecret>,
    pub body: Option<String>,
    pub escape: Option<String>,
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
    pub user: Option<RawSecret>,
    pub password: Option<RawSecret>,
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
    pub url: RawSecret,
    pub every: RawSpan,
    pub method: Option<String>,
    #[serde(default)]
    pub headers: IndexMap<String, RawSecret>,
    #[serde(rename = "name")]
    pub _name: Option<String>,
}
