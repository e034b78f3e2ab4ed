//! The watchdog: aborts a manager whose rule does not return or whose rules are not loaded, so that its supervisor restarts it.
//!
//! The rules engine enforces the limits of a rule and of loading. The watchdog is for calls that they do not reach, and never stops a rule
//! alone.

use std::fs;
use std::io;
use std::path::Path;
use std::process::abort;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pylogging::Logger;

/// The interval between checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The most CPU time of a call. Its own limit is 2 s.
const MAX_CPU_TIME: Duration = Duration::from_secs(5);

/// The most checks that find the same call, for one that waits for something that never comes. A check that comes late does not
/// count: the process was stopped, or the machine had no time for it.
const MAX_CHECKS: u32 = 60;

/// Watches the calls of rules, and their loading, from a thread of its own.
#[derive(Debug)]
pub struct Watchdog {
    /// The number of the call under way; 0 between calls.
    call: Arc<AtomicU64>,
    calls: u64,
}

impl Watchdog {
    /// Start the thread. It watches calls in the current thread.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(log: Logger) -> io::Result<Self> {
        let call = Arc::new(AtomicU64::new(0));
        let watched = Arc::clone(&call);
        let thread = Path::new("/proc").join(fs::read_link("/proc/thread-self")?);
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&watched, &thread, &log))?;
        Ok(Self { call, calls: 0 })
    }

    /// Watch a call.
    pub fn watch<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.calls += 1;
        self.call.store(self.calls, Ordering::Relaxed);
        let returned = call();
        self.call.store(0, Ordering::Relaxed);
        returned
    }
}

/// A call that was under way at the last check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WatchedCall {
    number: u64,
    /// The CPU time of the thread when the call was found.
    found_at: Duration,
    /// How many checks have found it again in time.
    checks: u32,
}

impl WatchedCall {
    /// Return the state after a check that finds the call `number` and the CPU time of its thread, `late` or in time.
    fn after_check(previous: Option<Self>, number: u64, cpu_time: Duration, is_late: bool) -> Option<Self> {
        match previous {
            Some(call) if call.number == number => {
                Some(Self { checks: call.checks + u32::from(!is_late), ..call })
            }
            _ => (number != 0).then_some(Self { number, found_at: cpu_time, checks: 0 }),
        }
    }

    fn is_stuck(&self, cpu_time: Duration) -> bool {
        self.checks >= MAX_CHECKS || cpu_time.saturating_sub(self.found_at) >= MAX_CPU_TIME
    }
}

/// Return the CPU time of a thread, from its folder in `/proc`; see proc(5). Zero if it is unknown.
fn cpu_time(thread: &Path) -> Duration {
    let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|used| used.parse().ok()).map_or(Duration::ZERO, Duration::from_nanos)
}

fn watch(call: &AtomicU64, thread: &Path, log: &Logger) {
    let mut watched = None;
    loop {
        let before = Instant::now();
        thread::sleep(CHECK_INTERVAL);
        let is_late = before.elapsed() >= 2 * CHECK_INTERVAL;
        let number = call.load(Ordering::Relaxed);
        if number == 0 {
            watched = None;
            continue;
        }
        let cpu_time = cpu_time(thread);
        watched = WatchedCall::after_check(watched, number, cpu_time, is_late);
        if watched.is_some_and(|call| call.is_stuck(cpu_time)) {
            log.critical(
                "a rule, or loading the rules, does not return and cannot be stopped: the manager aborts, to be restarted",
            );
            abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The watchdog's verdict on a call after checks, each with the CPU time in seconds and whether it is late.
    fn is_stuck_after(checks: impl IntoIterator<Item = (u64, bool)>) -> bool {
        let (mut watched, mut last) = (None, Duration::ZERO);
        for (seconds, is_late) in checks {
            last = Duration::from_secs(100 + seconds);
            watched = WatchedCall::after_check(watched, 7, last, is_late);
        }
        watched.expect("a call").is_stuck(last)
    }

    #[test]
    fn a_call_is_stuck_after_its_cpu_time_or_many_checks() {
        assert!(!is_stuck_after([(0, false)]));
        assert!(!is_stuck_after((0..=4).map(|second| (second, false))));
        assert!(is_stuck_after((0..=5).map(|second| (second, false))));
        assert!(!is_stuck_after((0..60).map(|_| (0, false))), "it waits for something");
        assert!(is_stuck_after((0..=60).map(|_| (0, false))));
    }

    #[test]
    fn time_in_which_the_process_was_stopped_does_not_count() {
        assert!(!is_stuck_after((0..1_000).map(|_| (1, true))));
        assert!(is_stuck_after([(0, true), (5, true)]), "but what it did meanwhile does");
    }

    #[test]
    fn each_call_begins_at_zero() {
        let mut watched = None;
        for number in 1..1_000 {
            let cpu_time = Duration::from_secs(number);
            watched = WatchedCall::after_check(watched, number, cpu_time, false);
            assert!(!watched.expect("a call").is_stuck(cpu_time));
        }
        assert_eq!(WatchedCall::after_check(watched, 0, Duration::ZERO, false), None);
    }

    #[test]
    fn the_cpu_time_of_a_thread_is_known() {
        let thread = Path::new("/proc").join(fs::read_link("/proc/thread-self").expect("this thread"));
        let before = cpu_time(&thread);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let used = cpu_time(&thread).saturating_sub(before);
        assert!(used > Duration::ZERO && used <= start.elapsed(), "{used:?}");
    }
}
