//! [`Lane`]: the queue of one target and the thread that empties it. Whoever pushes never waits.
//!
//! The order is kept: what is tried again keeps back what came after it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::delivery::Delivery;
use crate::logging::Logger;

/// Why something was not sent.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// For a person; without secrets.
    pub text: String,
    /// Whether another attempt would end in the same way.
    pub is_final: bool,
    /// How long the other side asks to be left alone.
    pub wait: Option<Duration>,
}

/// Makes one attempt.
pub(super) type Send = Box<dyn FnMut(&Delivery) -> Result<(), Failure> + std::marker::Send>;

/// How often it is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The pause after the first failure; each one after it is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// What has waited so long is given up after one more attempt.
    pub give_up: Duration,
}

impl Pace {
    pub(super) const NORMAL: Pace = Pace {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(300),
        give_up: Duration::from_secs(3_600),
    };
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Delivery>,
    /// Something is under way that is not in the queue any more.
    is_busy: bool,
    /// What could not wait, since the last time that there was room.
    dropped: u64,
    /// Nothing more comes.
    is_closed: bool,
    /// The manager ends: no pauses any more, and nothing after that moment.
    end: Option<Instant>,
    /// The thread has ended.
    is_done: bool,
}

struct Shared {
    name: String,
    queue: Mutex<Queue>,
    changed: Condvar,
    log: Logger,
    /// It is told once when it fails and once when it works again.
    is_heartbeat: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Whoever panicked left it whole: no change of it is in two steps.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue and its thread.
pub(super) struct Lane {
    shared: Arc<Shared>,
    most: usize,
}

impl fmt::Debug for Lane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Lane({})", self.shared.name)
    }
}

impl Lane {
    /// Opens a queue for so many and starts its thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(super) fn open(
        name: &str,
        pace: Pace,
        most: usize,
        is_heartbeat: bool,
        mut send: Send,
        log: Logger,
    ) -> io::Result<Self> {
        let (name, queue, changed) = (name.to_owned(), Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { name, queue, changed, log, is_heartbeat });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("notify".to_owned()).spawn(move || {
            let mut is_failing = false;
            while let Some(delivery) = of_thread.next() {
                of_thread.deliver(&delivery, pace, &mut send, &mut is_failing);
            }
            of_thread.lock().is_done = true;
            of_thread.changed.notify_all();
        })?;
        Ok(Self { shared, most })
    }

    /// Lets something wait for its turn, or drops it when too much waits already.
    pub(super) fn push(&self, delivery: Delivery) {
        let mut queue = self.shared.lock();
        if queue.waiting.len() < self.most {
            queue.waiting.push_back(delivery);
            self.shared.changed.notify_all();
            return;
        }
        queue.dropped += 1;
        let is_first = queue.dropped == 1;
        drop(queue);
        if is_first && !self.shared.is_heartbeat {
            self.shared.log.warning(format_args!(
                "{} notifications wait for {}: what comes now is dropped until these have gone",
                self.most, self.shared.name
            ));
        }
    }

    /// Nothing more comes; what waits is sent in its time.
    pub(super) fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }

    /// Whether it was closed and all is sent or given up.
    pub(super) fn is_done(&self) -> bool {
        self.shared.lock().is_done
    }

    /// The manager ends at that moment: what waits is tried once more, at once.
    pub(super) fn hurry(&self, until: Instant) {
        let mut queue = self.shared.lock();
        queue.is_closed = true;
        queue.end = Some(until);
        self.shared.changed.notify_all();
    }

    /// Waits until all is sent or given up, or that moment has come.
    pub(super) fn end(self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let queue = self.shared.lock();
        let (queue, _) = self
            .shared
            .changed
            .wait_timeout_while(queue, left, |queue| !queue.is_done)
            .unwrap_or_else(PoisonError::into_inner);
        let left = queue.waiting.len() + usize::from(queue.is_busy);
        drop(queue);
        if left > 0 && !self.shared.is_heartbeat {
            let name = &self.shared.name;
            self.shared.log.warning(format_args!("{left} notifications to {name} were not sent before the end"));
        }
    }
}

impl Shared {
    /// What is next; `None` when nothing more comes, or the end has.
    fn next(&self) -> Option<Delivery> {
        let mut queue = self.lock();
        queue.is_busy = false;
        if queue.waiting.is_empty() && queue.dropped > 0 {
            let dropped = std::mem::take(&mut queue.dropped);
            if !self.is_heartbeat {
                let name = &self.name;
                self.log.warning(format_args!("{dropped} notifications to {name} were dropped; there is room again"));
            }
        }
        let has_to_wait = |queue: &mut Queue| queue.waiting.is_empty() && !queue.is_closed;
        let mut queue =
            self.changed.wait_while(queue, has_to_wait).unwrap_or_else(PoisonError::into_inner);
        if queue.end.is_some_and(|end| end <= Instant::now()) {
            return None;
        }
        let next = queue.waiting.pop_front();
        queue.is_busy = next.is_some();
        next
    }

    /// Tries until it is sent or given up.
    fn deliver(&self, delivery: &Delivery, pace: Pace, send: &mut Send, is_failing: &mut bool) {
        let name = &self.name;
        let mut pause = pace.first;
        loop {
            let Err(failure) = send(delivery) else {
                if std::mem::take(is_failing) {
                    self.log.info(format_args!("notifications to {name} go out again"));
                }
                return;
            };
            let Failure { text, is_final, wait } = failure;
            let is_old = delivery.since.elapsed() >= pace.give_up;
            if is_final || is_old {
                if !self.is_heartbeat || !std::mem::replace(is_failing, true) {
                    self.log.error(format_args!("a notification to {name} is given up ({}): {text}", delivery.about));
                }
                return;
            }
            if !std::mem::replace(is_failing, true) {
                self.log.warning(format_args!("notifications to {name} do not go out, and are tried again: {text}"));
            }
            let wait = wait.unwrap_or(pause).min(pace.longest);
            pause = (pause * 2).min(pace.longest);
            if self.rest(wait) {
                // That was the last chance.
                self.log.error(format_args!("a notification to {name} is given up ({}): {text}", delivery.about));
                return;
            }
        }
    }

    /// Pauses; cut short when the manager ends. Whether there is to be no further attempt: the end had begun before.
    fn rest(&self, pause: Duration) -> bool {
        let queue = self.lock();
        if queue.end.is_some() {
            return true;
        }
        let queue = self.changed.wait_timeout_while(queue, pause, |queue| queue.end.is_none());
        drop(queue.unwrap_or_else(PoisonError::into_inner));
        false
    }
}
