//! `expect:`, a section of ours: messages that must arrive before a time of day.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::check::ConfigCheck;
use super::checked::Registry;
use super::names::Names;
use super::problem::Severity;
use error_text::did_you_mean;
use nowcast_core::Expectation;
use pyyaml::Value;
use pyyaml::python::repr_value;

/// The section's name.
const EXPECT: &str = "expect";

/// The default message type.
const SUCCESS: &str = "success";

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// A message that must arrive before a time of day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpectation {
    /// The worker.
    worker: String,
    /// The message type. Without it: `success`.
    r#type: Option<String>,
    /// The time of day before which the message must arrive: `'06:30'`.
    by: String,
    /// The time of day from which on a message counts. Without it: midnight.
    since: Option<String>,
    /// The days of the week. Without it: all.
    days: Option<Names>,
    /// The time zone of the times, such as `America/Vancouver`. Without it: that of the machine.
    timezone: Option<String>,
    /// The cycle of the message, as a format of the day: `'%Y-%m-%d'`.
    cycle: Option<String>,
    /// What is added to the time of `cycle`: `1d`, `6h` or `-1d`.
    shift: Option<String>,
    /// The probability of being late from which on a forecast warns ahead: `50%`.
    #[serde(rename = "warn at")]
    #[schemars(with = "Option<String>")]
    warn_at: Option<IgnoredAny>,
}

impl ConfigCheck<'_> {
    /// Check `expect:`.
    pub(super) fn expect(&mut self, value: &Value, registry: Option<&Registry>) -> Option<Vec<Expectation>> {
        let section = match value.get(EXPECT) {
            None | Some(Value::Null) => return Some(Vec::new()),
            Some(section) => section,
        };
        let Some(items) = section.as_list() else {
            let text = format!(
                "must be a list of messages (`- {{worker: NAME, by: '06:30'}}`), not {}",
                section.kind()
            );
            self.report(Severity::Error, &[EXPECT], text);
            return None;
        };
        let expected: Vec<_> =
            items.iter().enumerate().map(|(place, item)| self.expectation(place, item, registry)).collect();
        expected.into_iter().collect()
    }

    fn expectation(
        &mut self,
        place: usize,
        item: &Value,
        registry: Option<&Registry>,
    ) -> Option<Expectation> {
        let place = place.to_string();
        let path = [EXPECT, place.as_str()];
        // PyYAML reads a bare 12:30 as a sexagesimal number.
        for key in ["by", "since"] {
            if let Some(Value::Int(number)) = item.get(key) {
                let text = format!(
                    "{number} is not a time of day; a time stands in quotes: `{key}: '{}'`",
                    sixties(*number)
                );
                self.report(Severity::Error, &[path[0], path[1], key], text);
                return None;
            }
        }
        let raw: RawExpectation = self.decode(item, &path)?;
        let by = self.time(&path, "by", &raw.by);
        let since = raw.since.map_or(Some(Time::midnight()), |since| self.time(&path, "since", &since));
        let days = self.days(&path, raw.days);
        let zone = match &raw.timezone {
            None => Some(TimeZone::system()),
            Some(name) => self.zone(&path, name),
        };
        let cycle = zone
            .as_ref()
            .and_then(|zone| self.cycle_format(&path, raw.cycle.as_deref(), raw.shift.as_deref(), zone).ok());
        let warn_at = raw.warn_at.and_then(|_| item.get("warn at"));
        let warn_at = warn_at.map(|value| self.percentage(&path, value));
        let r#type = raw.r#type.unwrap_or_else(|| SUCCESS.to_owned());
        if let Some(registry) = registry {
            self.registered_message(&path, &raw.worker, &r#type, registry)?;
        }
        let (worker, cycle) = (raw.worker, cycle?);
        let warn_at = match warn_at {
            None => None,
            Some(checked) => Some(checked?),
        };
        Some(Expectation { worker, r#type, by: by?, since: since?, days: days?, zone: zone?, cycle, warn_at })
    }

    /// Return the percentage of `warn at`, or report that it is none.
    fn percentage(&mut self, path: &[&str; 2], value: &Value) -> Option<u8> {
        let text = value.as_str().map(str::trim);
        let number: Option<u8> = text.and_then(|text| text.strip_suffix('%')?.trim_end().parse().ok());
        let number = number.filter(|number| (1..=99).contains(number));
        if number.is_none() {
            let shown = text.map_or_else(|| repr_value(value), |text| format!("{text:?}"));
            let text = format!("{shown} is not a percentage from 1% to 99%; write it as `warn at: 50%`");
            self.report(Severity::Error, &[path[0], path[1], "warn at"], text);
        }
        number
    }

    fn time(&mut self, path: &[&str; 2], key: &str, text: &str) -> Option<Time> {
        let is_time = text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        let time: Option<Time> = text.parse().ok().filter(|_| is_time);
        if time.is_none() {
            let text = format!("{text:?} is not a time of day; write it as '06:30', from '00:00' to '23:59'");
            self.report(Severity::Error, &[path[0], path[1], key], text);
        }
        time
    }

    fn days(&mut self, path: &[&str; 2], names: Option<Names>) -> Option<Vec<Weekday>> {
        let Some(Names(names)) = names else { return Some(WEEKDAYS.map(|(_, day)| day).into()) };
        let at = [path[0], path[1], "days"];
        if names.is_empty() {
            let text =
                "names no day, so nothing would be expected; write `days: [monday, tuesday]`".to_owned();
            self.report(Severity::Error, &at, text);
            return None;
        }
        let mut days = Vec::new();
        for name in names {
            let Some((_, day)) = WEEKDAYS.into_iter().find(|(known, _)| *known == name.to_lowercase()) else {
                let close = did_you_mean(&name, WEEKDAYS.map(|(known, _)| known));
                let known = WEEKDAYS.map(|(known, _)| known).join(", ");
                let text = format!("there is no day `{name}`{close}; known: {known}");
                self.report(Severity::Error, &at, text);
                return None;
            };
            days.push(day);
        }
        Some(days)
    }

    /// Return the time zone of an entry, or report that it is unknown.
    pub(super) fn zone(&mut self, path: &[&str], name: &str) -> Option<TimeZone> {
        let zone = TimeZone::get(name);
        if zone.is_err() {
            let known = jiff::tz::db().available().map(|known| known.to_string());
            let close = did_you_mean(name, known);
            let text = format!(
                "this machine knows no time zone `{name}`{close}; write it as America/Vancouver or UTC"
            );
            self.report(Severity::Error, &[path, &["timezone"]].concat(), text);
        }
        zone.ok()
    }
}

/// Format a sexagesimal number as it was written.
fn sixties(number: i64) -> String {
    /// The minutes of a day. A larger number was written with seconds.
    const MINUTES: i64 = 24 * 60;
    if number < MINUTES {
        format!("{:02}:{:02}", number / 60, number % 60)
    } else {
        format!("{:02}:{:02}:{:02}", number / 3_600, number / 60 % 60, number % 60)
    }
}
