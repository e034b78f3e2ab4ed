//! [`Lane`]: the queue of one target and the thread that empties it. A push never blocks.
//!
//! The order is kept: a delivery that is retried delays later ones.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::delivery::Delivery;
use nowcast_core::counted::plural;
use pylogging::Logger;

/// The reason why a delivery was not sent.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The text for a person, without secrets.
    pub text: String,
    /// Whether another attempt would fail in the same way.
    pub is_final: bool,
    /// The pause that the server asks for.
    pub wait: Option<Duration>,
}

/// A function that makes one attempt to send a delivery, and returns what the other side answers.
pub(super) type Send = Box<dyn FnMut(&Delivery) -> Result<String, Failure> + std::marker::Send>;

/// The pauses between attempts, and the time limit of a delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The pause after the first failure; each later pause is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The time after which a waiting delivery is abandoned, after one more attempt.
    pub timeout: Duration,
}

impl Pace {
    pub(super) const NORMAL: Pace = Pace {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(300),
        timeout: Duration::from_secs(3_600),
    };
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Delivery>,
    /// Whether the thread is sending a delivery, which is no longer in the queue.
    is_busy: bool,
    /// The number of deliveries discarded since the queue was last empty.
    discarded: u64,
    /// Whether no more deliveries follow.
    is_closed: bool,
    /// The deadline once the manager exits: there are no more pauses, and no attempts after this moment.
    end: Option<Instant>,
    /// Whether the thread has ended.
    is_done: bool,
}

struct LaneState {
    name: String,
    queue: Mutex<Queue>,
    changed: Condvar,
    log: Logger,
    /// Whether the target is a heartbeat, of which only the first failure and the recovery are logged.
    is_heartbeat: bool,
}

impl LaneState {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while the lock is held cannot leave the queue inconsistent.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue and its thread.
pub(super) struct Lane {
    shared: Arc<LaneState>,
    most: usize,
}

impl fmt::Debug for Lane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Lane({})", self.shared.name)
    }
}

impl Lane {
    /// Open a queue for at most `most` deliveries and start its thread.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub(super) fn open(
        name: &str,
        pace: Pace,
        most: usize,
        is_heartbeat: bool,
        mut send: Send,
        log: Logger,
    ) -> io::Result<Self> {
        let (name, queue, changed) = (name.to_owned(), Mutex::default(), Condvar::new());
        let shared = Arc::new(LaneState { name, queue, changed, log, is_heartbeat });
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

    /// Queue a delivery, or discard it if the queue is full.
    pub(super) fn push(&self, delivery: Delivery) {
        let mut queue = self.shared.lock();
        if queue.waiting.len() < self.most {
            queue.waiting.push_back(delivery);
            self.shared.changed.notify_all();
            return;
        }
        queue.discarded += 1;
        let is_first = queue.discarded == 1;
        drop(queue);
        if is_first && !self.shared.is_heartbeat {
            self.shared.log.warning(format_args!(
                "{} notifications wait for {}: further ones are discarded until these are sent",
                self.most, self.shared.name
            ));
        }
    }

    /// Note that no more deliveries follow. Those that wait are still sent.
    pub(super) fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }

    /// Return whether the queue was closed and every delivery is sent or abandoned.
    pub(super) fn is_done(&self) -> bool {
        self.shared.lock().is_done
    }

    /// Close the queue because the manager exits at `until`: waiting deliveries are tried at once, up to the first
    /// failure.
    pub(super) fn hurry(&self, until: Instant) {
        let mut queue = self.shared.lock();
        queue.is_closed = true;
        queue.end = Some(until);
        self.shared.changed.notify_all();
    }

    /// Wait until every delivery is sent or abandoned, but not after `until`. Log the number of those that are left.
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
            let words = plural(&left, "notification", "notifications");
            let were = plural(&left, "was", "were");
            self.shared.log.warning(format_args!("{left} {words} to {name} {were} not sent before the end"));
        }
    }
}

impl LaneState {
    /// Wait for the next delivery. Return `None` if the queue is closed and empty, or its deadline has passed.
    fn next(&self) -> Option<Delivery> {
        let mut queue = self.lock();
        queue.is_busy = false;
        if queue.waiting.is_empty() && queue.discarded > 0 {
            let discarded = std::mem::take(&mut queue.discarded);
            if !self.is_heartbeat {
                let name = &self.name;
                let words = plural(&discarded, "notification", "notifications");
                let were = plural(&discarded, "was", "were");
                self.log.warning(format_args!(
                    "{discarded} {words} to {name} {were} discarded; the queue is empty again"
                ));
            }
        }
        let has_to_wait = |queue: &mut Queue| queue.waiting.is_empty() && !queue.is_closed;
        let mut queue = self.changed.wait_while(queue, has_to_wait).unwrap_or_else(PoisonError::into_inner);
        if queue.end.is_some_and(|end| end <= Instant::now()) {
            return None;
        }
        let next = queue.waiting.pop_front();
        queue.is_busy = next.is_some();
        next
    }

    /// Make attempts until the delivery is sent or abandoned.
    fn deliver(&self, delivery: &Delivery, pace: Pace, send: &mut Send, is_failing: &mut bool) {
        let name = &self.name;
        let abandon = |text: &str| {
            self.log
                .error(format_args!("a notification to {name} is abandoned ({}): {text}", delivery.about));
        };
        let mut pause = pace.first;
        loop {
            let is_last = self.lock().end.is_some();
            let Err(failure) = send(delivery) else {
                if std::mem::take(is_failing) {
                    self.log.info(format_args!("notifications to {name} go out again"));
                }
                return;
            };
            let Failure { text, is_final, wait } = failure;
            let was_failing = std::mem::replace(is_failing, true);
            if is_final || is_last || delivery.since.elapsed() >= pace.timeout {
                if !self.is_heartbeat || !was_failing {
                    abandon(&text);
                }
                if is_last {
                    // The others would fail as well; `Lane::end` logs their number.
                    self.lock().end = Some(Instant::now());
                }
                return;
            }
            if !was_failing {
                self.log.warning(format_args!(
                    "notifications to {name} do not go out, and are tried again: {text}"
                ));
            }
            self.rest(wait.unwrap_or(pause).min(pace.longest));
            pause = (pause * 2).min(pace.longest);
            if self.is_over() {
                return abandon(&text);
            }
        }
    }

    /// Pause, but not after the manager has begun to exit.
    fn rest(&self, pause: Duration) {
        let queue = self.changed.wait_timeout_while(self.lock(), pause, |queue| queue.end.is_none());
        drop(queue.unwrap_or_else(PoisonError::into_inner));
    }

    /// Return whether the deadline has passed.
    fn is_over(&self) -> bool {
        self.lock().end.is_some_and(|end| end <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Longer than any test.
    const NEVER: Duration = Duration::from_secs(3_600);

    const DEADLINE: Duration = Duration::from_secs(30);

    fn delivery(body: &str) -> Delivery {
        Delivery { body: body.to_owned(), ..Delivery::beat() }
    }

    fn push(lane: &Lane, bodies: &[&str]) {
        for body in bodies {
            lane.push(delivery(body));
        }
    }

    /// Return a lane and the channel of its attempts. The attempts fail as listed in `ends`; later ones succeed.
    fn lane(pace: Pace, most: usize, ends: Vec<Failure>) -> (Lane, Receiver<String>) {
        let (attempts, made) = channel();
        let mut ends = ends.into_iter();
        let send: Send = Box::new(move |delivery| {
            attempts.send(delivery.body.clone()).unwrap();
            ends.next().map_or(Ok(String::new()), Err)
        });
        (Lane::open("test", pace, most, false, send, Logger::new("test")).unwrap(), made)
    }

    fn failure(wait: Option<Duration>) -> Failure {
        Failure { text: "no".to_owned(), is_final: false, wait }
    }

    fn next(made: &Receiver<String>) -> String {
        made.recv_timeout(DEADLINE).unwrap()
    }

    /// Close the lane and return all attempts until it is done.
    fn rest(lane: &Lane, made: &Receiver<String>) -> Vec<String> {
        lane.close();
        made.iter().collect()
    }

    #[test]
    fn the_order_is_kept_and_nothing_is_sent_again_once_it_was_taken() {
        let pace = Pace { first: Duration::ZERO, longest: Duration::ZERO, timeout: NEVER };
        let (lane, made) = lane(pace, 10, vec![failure(None), failure(None)]);
        push(&lane, &["a", "b", "c"]);
        assert_eq!(rest(&lane, &made), ["a", "a", "a", "b", "c"]);
    }

    #[test]
    fn an_old_delivery_is_abandoned_after_one_more_attempt() {
        let pace = Pace { first: NEVER, longest: NEVER, timeout: Duration::ZERO };
        let (lane, made) = lane(pace, 10, vec![failure(None), failure(None)]);
        push(&lane, &["a", "b", "c"]);
        assert_eq!(rest(&lane, &made), ["a", "b", "c"]);
    }

    #[test]
    fn the_other_side_says_how_long_the_pause_is_to_be() {
        let pace = Pace { first: NEVER, longest: NEVER, timeout: NEVER };
        let (lane, made) = lane(pace, 10, vec![failure(Some(Duration::ZERO))]);
        lane.push(delivery("a"));
        assert_eq!(rest(&lane, &made), ["a", "a"]);
    }

    #[test]
    fn notifications_over_the_limit_are_discarded() {
        let pace = Pace { first: NEVER, longest: NEVER, timeout: NEVER };
        let (lane, made) = lane(pace, 2, vec![failure(None)]);
        lane.push(delivery("a"));
        // The attempt is followed by a pause that only `hurry` cuts short.
        assert_eq!(next(&made), "a");
        push(&lane, &["b", "c", "d"]);
        lane.hurry(Instant::now() + DEADLINE);
        assert_eq!(made.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(lane.is_done());
    }

    #[test]
    fn at_the_end_nothing_is_tried_behind_one_that_fails_nor_after_its_moment() {
        let pace = Pace { first: NEVER, longest: NEVER, timeout: NEVER };
        let (lane, made) = lane(pace, 10, vec![failure(None); 5]);
        push(&lane, &["a", "b", "c"]);
        assert_eq!(next(&made), "a");
        lane.hurry(Instant::now() + DEADLINE);
        assert_eq!(made.iter().collect::<Vec<_>>(), ["a"]);
        let (lane, made) = self::lane(pace, 10, vec![failure(None); 5]);
        push(&lane, &["a", "b"]);
        assert_eq!(next(&made), "a");
        let now = Instant::now();
        lane.hurry(now);
        lane.end(now);
        assert!(!made.iter().any(|body| body == "b"));
    }
}
