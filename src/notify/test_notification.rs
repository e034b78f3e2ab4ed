//! [`TestNotification`]: one notification that an operator sends to see whether a target works. It goes past the queues, and needs no
//! manager.

use jiff::ZonedDateTime;

use super::Served;
use super::delivery::Delivery;
use super::lane::Failure;
use crate::config::Notifications;
use crate::config::notify::Way;
use crate::process::machine;
use nowcast_core::notice::NoticeMessage;
use nowcast_core::{Notice, Number};
use pylogging::Logger;
use pyyaml::Value;

/// The worker and the message type of a test.
const TEST: &str = "test";

/// A notification to test a target with.
pub struct TestNotification {
    served: Served,
    delivery: Delivery,
}

/// Why a test notification was not sent.
#[derive(Debug, thiserror::Error)]
#[error("{text}; {remedy}")]
pub struct NotSent {
    text: String,
    remedy: &'static str,
}

impl TestNotification {
    /// Return one for each target, in the order of the configuration.
    #[must_use]
    pub fn for_all(notifications: &Notifications, now: &ZonedDateTime) -> Vec<Self> {
        let slack = notifications.slack.clone().unwrap_or_default();
        let channels = slack.channels.iter().cloned().map(Served::Slack);
        let targets = notifications.targets.iter().cloned().map(Served::NotificationTarget);
        let notice = notice(now);
        let prepared = channels.chain(targets).map(|served| {
            let delivery = match &served {
                Served::Slack(_) => Delivery::for_slack(&slack, &notice),
                Served::NotificationTarget(target) => Delivery::filled(target, &notice),
            };
            // Only a heartbeat has no text.
            Self { served, delivery: delivery.unwrap_or_else(Delivery::beat) }
        });
        prepared.collect()
    }

    /// Return the target's name.
    #[must_use]
    pub fn target(&self) -> &str {
        self.served.name()
    }

    /// Return what the target is: `webhook, POST`, `e-mail to ana@example.org`.
    #[must_use]
    pub fn kind(&self) -> String {
        match &self.served {
            Served::Slack(_) => "Slack channel".to_owned(),
            Served::NotificationTarget(target) => match &target.way {
                Way::Webhook { request, .. } => format!("webhook, {}", request.method),
                Way::Heartbeat { request, .. } => format!("heartbeat, {}", request.method),
                Way::Email(email) => {
                    let to: Vec<String> = email.to.iter().map(ToString::to_string).collect();
                    format!("e-mail to {}", to.join(", "))
                }
            },
        }
    }

    /// Return the subject; empty for all but an e-mail.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.delivery.subject
    }

    /// Return the body; empty for a heartbeat.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.delivery.body
    }

    /// Make one attempt to send it; return the answer of the other side.
    ///
    /// # Errors
    /// When it was not sent. The text has no secrets.
    pub fn send(&self) -> Result<String, NotSent> {
        if let Served::Slack(channel) = &self.served
            && channel.url.is_none()
        {
            let text = format!("the environment variable {} is not set", channel.variable);
            return Err(NotSent { text, remedy: "set it to the URL of the channel's webhook" });
        }
        self.served.sender(&Logger::new("notify"))(&self.delivery)
            .map_err(|failure| NotSent { remedy: self.remedy(&failure), text: failure.text })
    }

    fn remedy(&self, failure: &Failure) -> &'static str {
        let is_email =
            matches!(&self.served, Served::NotificationTarget(target) if matches!(target.way, Way::Email(_)));
        match (failure.is_final, is_email) {
            (false, _) => {
                "the manager would try again for an hour; check that the server is up and reached from here"
            }
            (true, false) => "it would be discarded; correct the URL, the headers or the body of the target",
            (true, true) => {
                "it would be discarded; correct the addresses, the server or the login of the target"
            }
        }
    }
}

fn notice(now: &ZonedDateTime) -> Notice {
    Notice {
        number: Number(0),
        at: now.clone(),
        alarm: None,
        worker: TEST.to_owned(),
        message: Some(NoticeMessage { r#type: TEST.to_owned(), payload: Value::Null }),
        text: format!("test: sent by \"nowcast notify test\" on {}; nothing has happened", machine()),
    }
}
