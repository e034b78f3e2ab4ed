//! The notices and alarms of decisions. For a Slack channel without a URL there is only a log line, as in NEMO_Nowcast.

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::effect::Effect;
use crate::level::Level;
use crate::message::Message;
use crate::next_worker::LOCALHOST;
use crate::notice::{Notice, NoticeMessage};
use crate::run::{Run, Stage, is_failure};

impl Decision<'_> {
    /// Log an alarm and create its notice. `worker` is empty if it concerns none.
    pub(super) fn alarm(&mut self, alarm: Alarm, worker: &str, text: impl Into<String>) {
        let text = text.into();
        self.log_alarm(text.clone());
        self.notify(Some(alarm), worker, None, text);
    }

    /// Log an alarm whose notice is created elsewhere.
    pub(super) fn log_alarm(&mut self, text: impl Into<String>) {
        self.state.has_failures = true;
        self.log(Level::Critical, text);
    }

    /// Create the notice of a message. `run` is the run that it reports for.
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
        let text = describe(message, run.filter(|_| alarm.is_some()));
        let said = NoticeMessage { r#type: r#type.clone(), payload: payload.clone() };
        self.notify(alarm, source, Some(said), text);
    }

    /// Create a notice, if there are targets.
    pub(super) fn notify(
        &mut self,
        alarm: Option<Alarm>,
        worker: &str,
        message: Option<NoticeMessage>,
        text: String,
    ) {
        if !self.state.policy.has_notification_targets {
            return;
        }
        let (number, at, worker) = (self.number, self.time.wall.clone(), worker.to_owned());
        self.effects.push(Effect::Notify(Box::new(Notice { number, at, alarm, worker, message, text })));
    }
}

/// Return a message as text, with the end of the run that it reports for.
pub(super) fn describe(message: &Message, run: Option<&Run>) -> String {
    let said = format!("{}: {}", message.source, message.r#type);
    let Some(run) = run else { return said };
    let cycle = run.cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
    let host = if run.worker.host == LOCALHOST { String::new() } else { format!(" on {}", run.worker.host) };
    let said = format!("{said} (run {}{cycle}{host})", run.id);
    match &run.stage {
        Stage::Ended { ending, .. } if !ending.is_success() => format!("{said}, which {ending}"),
        _ => said,
    }
}
