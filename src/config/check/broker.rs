//! `broker:`, a section of ours.

use super::Check;
use crate::config::raw::RawBroker;
use crate::yaml::Value;

impl Check<'_> {
    /// `broker: redeliver`; true unless it is turned off.
    pub(super) fn redeliver(&mut self, value: &Value) -> Option<bool> {
        let Some(section) = value.get("broker") else { return Some(true) };
        let raw: Option<RawBroker> = self.decode(section, &["broker"])?;
        Some(raw.unwrap_or_default().redeliver.unwrap_or(true))
    }
}
