//! Notifications: webhooks, e-mails, heartbeats and events of Sentry. Each target has its own thread and queue.
//!
//! Sending never blocks the caller: a full queue discards new notifications, and a target that hangs delays only its
//! own. This module never decides what is worth a notification. The queues are in memory only.

mod delivery;
mod http;
mod lane;
mod mail;
pub mod sentry;
pub mod test_notification;

use std::time::{Duration, Instant};

use crate::config::Notifications;
use crate::config::notify::{NotificationTarget, Slack, SlackChannel, Way};
use delivery::Delivery;
use lane::{Lane, Pace};
use nowcast_core::Notice;
use pylogging::Logger;

/// The time that waiting notifications get when the manager exits.
pub const LAST_CHANCE: Duration = Duration::from_secs(3);

/// The maximum number of notifications that wait for one target.
const MOST: usize = 200;

/// The target of a queue.
#[derive(Debug, Clone, PartialEq)]
enum Served {
    Slack(SlackChannel),
    NotificationTarget(NotificationTarget),
}

impl Served {
    /// Return its name in the log.
    fn name(&self) -> &str {
        match self {
            Self::Slack(channel) => &channel.variable,
            Self::NotificationTarget(target) => &target.name,
        }
    }

    /// Return a function that sends deliveries to it.
    fn sender(&self, log: &Logger) -> lane::Send {
        match self {
            Self::Slack(channel) => http::slack(channel, self.name(), log),
            Self::NotificationTarget(target) => match &target.way {
                Way::Webhook { request, .. } | Way::Heartbeat { request, .. } => {
                    http::sender(request, self.name(), log)
                }
                Way::Email(email) => mail::sender(email),
            },
        }
    }
}

#[derive(Debug)]
struct TargetQueue {
    served: Served,
    lane: Lane,
    /// When the next beat of a heartbeat is due; `None` for other targets.
    beat: Option<Instant>,
    /// Whether the target is only in the previous configuration. Its waiting notifications are still sent.
    is_retired: bool,
}

/// The sender of notifications to all targets.
#[derive(Debug)]
pub struct Notifier {
    log: Logger,
    slack: Option<Slack>,
    lines: Vec<TargetQueue>,
}

impl Notifier {
    /// Return a notifier for these targets.
    #[must_use]
    pub fn start(notifications: &Notifications, log: Logger) -> Self {
        let mut notifier = Self { log, slack: None, lines: Vec::new() };
        notifier.configure(notifications);
        notifier
    }

    /// Use these targets from now on. An unchanged target keeps its queue; the waiting notifications of a removed
    /// target are still sent.
    pub fn configure(&mut self, notifications: &Notifications) {
        self.slack.clone_from(&notifications.slack);
        self.lines.retain(|line| !line.is_retired || !line.lane.is_done());
        let channels = notifications.slack.iter().flat_map(|slack| &slack.channels);
        let channels = channels.filter(|channel| channel.url.is_some()).cloned().map(Served::Slack);
        let served: Vec<Served> =
            channels.chain(notifications.targets.iter().cloned().map(Served::NotificationTarget)).collect();
        for line in self.lines.iter_mut().filter(|line| !line.is_retired) {
            if !served.contains(&line.served) {
                line.is_retired = true;
                line.lane.close();
            }
        }
        for served in served {
            if self.lines.iter().all(|line| line.is_retired || line.served != served) {
                self.open(served);
            }
        }
    }

    fn open(&mut self, served: Served) {
        let name = served.name();
        let (pace, most, is_heartbeat) = match &served {
            // An old beat is useless once the next one is due.
            Served::NotificationTarget(NotificationTarget { way: Way::Heartbeat { every, .. }, .. }) => {
                let timeout = Duration::try_from(*every).unwrap_or(Pace::NORMAL.timeout);
                (Pace { timeout, ..Pace::NORMAL }, 1, true)
            }
            _ => (Pace::NORMAL, MOST, false),
        };
        let send = served.sender(&self.log);
        match Lane::open(name, pace, most, is_heartbeat, send, self.log.clone()) {
            Ok(lane) => {
                let beat = is_heartbeat.then(Instant::now);
                self.lines.push(TargetQueue { served, lane, beat, is_retired: false });
            }
            Err(error) => {
                self.log
                    .error(format_args!("notifications to {name} are off: no thread is to be had: {error}"));
            }
        }
    }

    /// Queue the notice for each target that wants it.
    pub fn notify(&self, notice: &Notice) {
        for line in self.lines.iter().filter(|line| !line.is_retired) {
            let delivery = match (&line.served, &self.slack) {
                (Served::Slack(channel), Some(slack)) => Delivery::to_slack(channel, slack, notice),
                (Served::Slack(_), None) => None,
                (Served::NotificationTarget(target), _) => Delivery::to_target(target, notice),
            };
            if let Some(delivery) = delivery {
                line.lane.push(delivery);
            }
        }
    }

    /// Queue the heartbeats that are due. The manager's loop calls this while it is alive.
    pub fn beat(&mut self) {
        for line in self.lines.iter_mut().filter(|line| !line.is_retired) {
            let Served::NotificationTarget(NotificationTarget { way: Way::Heartbeat { every, .. }, .. }) =
                &line.served
            else {
                continue;
            };
            let now = Instant::now();
            if line.beat.is_some_and(|due| due <= now) {
                line.beat = now.checked_add(Duration::try_from(*every).unwrap_or(Duration::MAX));
                line.lane.push(Delivery::beat());
            }
        }
    }

    /// Try the waiting notifications once more, then stop. All targets together get this time.
    pub fn finish(&mut self, timeout: Duration) {
        let until = Instant::now() + timeout;
        for line in &self.lines {
            line.lane.hurry(until);
        }
        for line in self.lines.drain(..) {
            line.lane.end(until);
        }
    }
}
