//! The targets of notifications: `slack notifications:`, a section of NEMO_Nowcast, and `notifications:`, one of ours.
//!
//! Values from the environment are secret: they must never appear in `Debug` output or in the configuration that rules
//! see.

pub(super) mod raw;
mod slack;
mod template;
mod url;

use std::fmt;

use jiff::SignedDuration;

use nowcast_core::Alarm;
pub use pylogging::smtp::Security;
pub use slack::{Slack, SlackChannel, SlackWorkers};
pub use template::{Template, TemplateField};
pub use url::{is_slack, url_problem};

/// All targets of notifications.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notifications {
    /// `slack notifications`
    pub slack: Option<Slack>,
    /// `notifications`, in the order of the file, without targets that lack an environment variable.
    pub targets: Vec<NotificationTarget>,
    /// The environment variables with the secrets of all targets, which nothing else in the configuration reads.
    pub secret_variables: Vec<String>,
}

impl Notifications {
    /// Return whether there is no target.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slack.is_none() && self.targets.is_empty()
    }
}

/// `notifications: NAME`: a target, the notices that it wants, and the way to send them.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationTarget {
    /// Its name.
    pub name: String,
    /// The notices that it wants; none for a heartbeat.
    pub of: NoticeFilter,
    /// The way to send them.
    pub way: Way,
}

/// The notices that a target wants: messages, alarms, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    /// `workers`: the workers whose messages are wanted; `None` for all.
    pub workers: Option<Vec<String>>,
    /// `types`: the types of those messages; `None` for all.
    pub types: Option<Vec<String>>,
    /// Whether messages are wanted: `workers`, `types` or both are given.
    pub messages: bool,
    /// `alarms`
    pub alarms: Vec<Alarm>,
}

impl NoticeFilter {
    /// Return whether a message of this worker and type is wanted.
    #[must_use]
    pub fn wants_message(&self, worker: &str, r#type: &str) -> bool {
        let is_in = |list: &Option<Vec<String>>, name: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|listed| listed == name))
        };
        self.messages && is_in(&self.workers, worker) && is_in(&self.types, r#type)
    }
}

/// The way to notify a target.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// A request to a web server for each notification.
    Webhook {
        /// The request.
        request: WebRequest,
        /// `body`
        body: Template,
        /// How inserted values are escaped.
        escapes: Escapes,
    },
    /// An e-mail for each notification.
    Email(Box<Email>),
    /// A request to a web server at an interval, as long as the manager's loop is alive.
    Heartbeat {
        /// The request; it has no body.
        request: WebRequest,
        /// `every`: the interval.
        every: SignedDuration,
    },
}

/// How values are escaped that are inserted into the body of a webhook, in the order of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Escapes {
    /// Escape what makes mentions and links of texts in Slack.
    pub slack: bool,
    /// Escape for a JSON string.
    pub json: bool,
    /// Escape for the value of a form's field.
    pub form: bool,
}

/// A request to a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRequest {
    /// `method`
    pub method: String,
    /// `url`
    pub url: Secret,
    /// `headers`
    pub headers: Vec<(String, Secret)>,
}

/// The settings of an e-mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    /// `to`
    pub to: Vec<lettre::message::Mailbox>,
    /// `from`
    pub from: lettre::message::Mailbox,
    /// `server`: the name of the mail server.
    pub server: String,
    /// `port`
    pub port: u16,
    /// `security`
    pub security: Security,
    /// `user` and `password`
    pub login: Option<(Secret, Secret)>,
    /// `subject`
    pub subject: Template,
    /// `body`
    pub body: Template,
}

/// A text that must not appear in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("…")
    }
}
