//! [`Policy`]: the part of the configuration that decisions depend on.

use indexmap::IndexMap;
use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use pyyaml::Value;

use crate::cycle_format::CycleFormat;
use crate::next_worker::LOCALHOST;

/// The part of the configuration that decisions depend on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// The whole configuration, as rules see it.
    pub config: Value,
    /// The workers of the message registry.
    pub registered: IndexMap<String, RegisteredWorker>,
    /// Limits on the runs of a worker, by its name.
    pub limits: IndexMap<String, Limits>,
    /// The hosts on which workers can be launched, beside this machine.
    pub hosts: Vec<String>,
    /// Messages that must have come before a time of day.
    pub expectations: Vec<Expectation>,
    /// When cycles are done, how many there may be at once, and how long they are kept.
    pub cycles: CyclesPolicy,
    /// Whether there is any target for notifications.
    pub has_notification_targets: bool,
    /// The environment variables of Slack channels that are not set.
    pub unset_slack_variables: Vec<String>,
}

impl Policy {
    /// Whether workers can be launched on that host.
    #[must_use]
    pub fn knows_host(&self, host: &str) -> bool {
        host == LOCALHOST || self.hosts.iter().any(|known| known == host)
    }
}

/// One worker of the message registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisteredWorker {
    /// `checklist key`: where its payloads go in the checklist.
    pub checklist_key: Option<Value>,
    /// Its message types and their meaning.
    pub messages: IndexMap<String, String>,
}

/// Limits on the runs of a worker. An option of a launch takes precedence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// `max running`: how many of its runs there may be at once; further launches are pending.
    pub max_running: Option<u32>,
    /// `max cycles`: in how many cycles that are not done, cancelled or skipped it may be launched; the launches of further ones are
    /// pending.
    pub max_cycles: Option<u32>,
    /// `timeout`: how long a run may take before it is stopped.
    pub timeout: Option<SignedDuration>,
    /// `retries`: how many times a failed run is launched again.
    pub retries: Option<u32>,
    /// `retry delay`: how long to wait before each retry.
    pub retry_delay: Option<RetryDelay>,
}

/// The time before each retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryDelay {
    /// Before the first retry.
    pub first: SignedDuration,
    /// How many times longer each delay is than the one before it; 1 if all are equal.
    pub factor: u32,
    /// The longest delay.
    pub longest: SignedDuration,
}

impl RetryDelay {
    /// The same time before each retry.
    #[must_use]
    pub fn constant(delay: SignedDuration) -> Self {
        Self { first: delay, factor: 1, longest: delay }
    }

    /// Return the delay before an attempt, of which 2 is the first retry.
    #[must_use]
    pub fn before(&self, attempt: u32) -> SignedDuration {
        let longer =
            self.factor.checked_pow(attempt.saturating_sub(2)).and_then(|times| i32::try_from(times).ok());
        let delay = longer.and_then(|times| self.first.checked_mul(times));
        delay.map_or(self.longest, |delay| delay.min(self.longest))
    }
}

/// The section `cycles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CyclesPolicy {
    /// `keep`: how long a cycle with nothing open is kept after its last event.
    pub keep: SignedDuration,
    /// `done`: a cycle is done when each of these messages has come.
    pub done: Vec<CycleMessage>,
    /// `max active`: how many cycles there may be at once that are not done, cancelled or skipped.
    pub max_active: Option<u32>,
    /// How many bytes of memory the notes of all cycles may take: [`MOST_NOTE_BYTES`] but in tests.
    pub most_note_bytes: usize,
}

/// The most bytes of memory that the notes of all cycles take. A thousand cycles of 40 messages with payloads of 4 KiB take 160 MiB.
pub const MOST_NOTE_BYTES: usize = 256 * 1024 * 1024;

/// A message that a cycle must have to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleMessage {
    /// `worker`
    pub worker: String,
    /// `type`
    pub r#type: String,
}

impl Default for CyclesPolicy {
    fn default() -> Self {
        Self {
            keep: SignedDuration::from_hours(30 * 24),
            done: Vec::new(),
            max_active: None,
            most_note_bytes: MOST_NOTE_BYTES,
        }
    }
}

/// A message that must have come before a time of day.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// `worker`
    pub worker: String,
    /// `type`
    pub r#type: String,
    /// `by`: the message is late from then on.
    pub by: Time,
    /// `since`: a message counts from then on; of the previous day if that is not before `by`.
    pub since: Time,
    /// `days`: the days on which it must come.
    pub days: Vec<Weekday>,
    /// `timezone`
    pub zone: TimeZone,
    /// `cycle`: only a message of the cycle that this makes of the deadline meets it.
    pub cycle: Option<CycleFormat>,
    /// `warn at`: how probable it must be that the message is late, in percent, before the manager warns ahead of the deadline.
    pub warn_at: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_of_retries_grows_up_to_the_longest() {
        let minutes = SignedDuration::from_mins;
        let delay = RetryDelay { first: minutes(1), factor: 2, longest: minutes(10) };
        let delays = (2..8).map(|attempt| delay.before(attempt).as_mins()).collect::<Vec<_>>();
        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
        assert_eq!(delay.before(u32::MAX), minutes(10));
        assert_eq!(RetryDelay::constant(minutes(5)).before(9), minutes(5));
    }

    #[test]
    fn this_machine_and_the_configured_hosts_are_known() {
        let policy = Policy { hosts: vec!["nibi".to_owned()], ..Policy::default() };
        assert!(policy.knows_host(LOCALHOST) && policy.knows_host("nibi") && !policy.knows_host("nobi"));
    }
}
