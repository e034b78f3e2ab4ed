//! Checks `slack notifications:`, a section of NEMO_Nowcast, as NEMO_Nowcast reads it.

use super::check::ConfigCheck;
use super::notify::{Secret, Slack, SlackChannel, SlackWorkers, url_problem};
use super::problem::Severity;
use pyyaml::{Value, python};

/// The section's name.
const SLACK: &str = "slack notifications";

/// The prefix of the key of a channel.
const CHANNEL: &str = "SLACK";

impl ConfigCheck<'_> {
    /// Check `slack notifications:`.
    pub(super) fn slack(&mut self, value: &Value) -> Option<Slack> {
        let section = value.get(SLACK).filter(|section| !section.is_null())?;
        let Some(entries) = section.as_map() else {
            let text = format!(
                "must be a mapping of environment variables (`SLACK_…`) and lists of workers, not {}",
                section.kind()
            );
            self.report(Severity::Error, &[SLACK], text);
            return None;
        };
        // NEMO_Nowcast formats a value of any type into the text.
        let url = |key: &str| {
            let url = section.get(key)?;
            Some(url.as_str().map_or_else(|| python::repr_value(url), str::to_owned))
        };
        let channels = entries.iter().filter_map(|(key, workers)| {
            let variable = key.as_str().filter(|key| key.starts_with(CHANNEL))?;
            Some(self.channel(variable, workers))
        });
        let channels = channels.collect();
        Some(Slack { channels, log_url: url("website log url"), checklist_url: url("website checklist url") })
    }

    fn channel(&mut self, variable: &str, workers: &Value) -> SlackChannel {
        let url = self.environment(variable);
        let path = [SLACK, variable];
        match &url {
            None => self.report(
                Severity::Note,
                &path,
                format!(
                    "the environment variable {variable} is not set, so no messages go there (`export {variable}=…`)"
                ),
            ),
            Some(url) => {
                if let Err(why) = url_problem(url) {
                    let text =
                        format!("the value of the environment variable {variable} is not a URL: {why}");
                    self.report(Severity::Warning, &path, text);
                }
            }
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let workers = match workers {
            Value::Str(text) => SlackWorkers::Text(text.to_string()),
            Value::List(names) => SlackWorkers::List(names.iter().filter_map(text).collect()),
            Value::Set(names) => SlackWorkers::List(names.iter().filter_map(text).collect()),
            Value::Map(names) => SlackWorkers::List(names.keys().filter_map(text).collect()),
            other => {
                let text = format!("must be a list of workers, not {}", other.kind());
                self.report(Severity::Warning, &path, text);
                SlackWorkers::List(Vec::new())
            }
        };
        SlackChannel { variable: variable.to_owned(), url: url.map(Secret), workers }
    }
}
