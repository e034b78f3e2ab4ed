//! `slack notifications:`, a section of NEMO_Nowcast: its channels and workers.

use super::Secret;

/// `slack notifications`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slack {
    /// Its channels, in the order of the file.
    pub channels: Vec<SlackChannel>,
    /// `website log url`
    pub log_url: Option<String>,
    /// `website checklist url`
    pub checklist_url: Option<String>,
}

/// One channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackChannel {
    /// The environment variable that holds the webhook's URL.
    pub variable: String,
    /// The value of the variable; `None` if it is not set.
    pub url: Option<Secret>,
    /// The workers whose messages go to the channel.
    pub workers: SlackWorkers,
}

/// The workers of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlackWorkers {
    /// A list of names.
    List(Vec<String>),
    /// A text, in which Python finds each name that is a part of it.
    Text(String),
}

impl SlackChannel {
    /// Return whether the messages of a worker go to the channel.
    #[must_use]
    pub fn has(&self, worker: &str) -> bool {
        match &self.workers {
            SlackWorkers::List(names) => names.iter().any(|name| name == worker),
            SlackWorkers::Text(text) => text.contains(worker),
        }
    }
}
