//! [`Notice`]: something that somebody outside may want to know. None is made when the configuration names nobody. Who
//! of those that it names wants to know, and how they are told, is not decided here; of Slack's channels without a URL
//! it only writes the log's line, as the peer does.

use jiff::ZonedDateTime;

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::effect::Effect;
use crate::level::Level;
use crate::message::Message;
use crate::run::{Number, Run, Stage, is_failure};
use pyyaml::Value;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The number by which `nowcast why` knows it; 0 if it is not in the journal.
    pub number: Number,
    /// When.
    pub at: ZonedDateTime,
    /// Whether somebody has to look at it, and why.
    pub alarm: Option<Alarm>,
    /// The worker that it is about; empty if it is about none.
    pub worker: String,
    /// The message that it is, if it is one.
    pub message: Option<Said>,
    /// What happened, in words.
    pub text: String,
}

/// What a worker said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The message type.
    pub r#type: String,
    /// The payload.
    pub payload: Value,
}

impl Decision<'_> {
    /// A line about something that somebody has to look at, and the notice of it. `worker` is empty if it is about
    /// none.
    pub(super) fn alarm(&mut self, alarm: Alarm, worker: &str, text: impl Into<String>) {
        let text = text.into();
        self.log_alarm(text.clone());
        self.notify(Some(alarm), worker, None, text);
    }

    /// Only the line: the notice is another's.
    pub(super) fn log_alarm(&mut self, text: impl Into<String>) {
        self.state.trouble = true;
        self.log(Level::Critical, text);
    }

    /// The notice of a message that reached its checklist and its rule. `run` is the one that it reports for.
    pub(super) fn notify_of_message(&mut self, message: &Message, run: Option<&Run>) {
        let Message { source, r#type, payload, .. } = message;
        for variable in &self.state.policy.unset_slack_variables {
            let text = format!("slack notification environment variable not found: {variable}");
            self.effects.push(Effect::log(Level::Debug, text));
        }
        let alarm = match r#type.as_str() {
            "crash" => Some(Alarm::Crash),
            other => is_failure(other).then_some(Alarm::Failure),
        };
        let text = in_words(message, run.filter(|_| alarm.is_some()));
        let said = Said { r#type: r#type.clone(), payload: payload.clone() };
        self.notify(alarm, source, Some(said), text);
    }

    /// A notice, if there is anybody to be told.
    pub(super) fn notify(&mut self, alarm: Option<Alarm>, worker: &str, message: Option<Said>, text: String) {
        if !self.state.policy.has_notification_targets {
            return;
        }
        let (number, at, worker) = (self.number, self.time.wall.clone(), worker.to_owned());
        self.effects.push(Effect::Notify(Box::new(Notice { number, at, alarm, worker, message, text })));
    }
}

/// A message in words, and how the run ended that it reports for.
pub(super) fn in_words(message: &Message, run: Option<&Run>) -> String {
    let said = format!("{}: {}", message.source, message.r#type);
    let Some(run) = run else { return said };
    match &run.stage {
        Stage::Ended { ending, .. } if !ending.is_success() => {
            format!("{said} (run {}), which {ending}", run.id)
        }
        _ => format!("{said} (run {})", run.id),
    }
}
