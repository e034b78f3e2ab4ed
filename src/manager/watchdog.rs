//! The watchdog: kills a manager whose rule does not return, so that its supervisor restarts it.
//!
//! The rules engine enforces the limits of a rule. The watchdog is for calls that they do not reach, and never stops a rule
//! alone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use pylogging::Logger;

/// The interval between checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The most checks that find the same call. It is not a time limit: a machine that was asleep has checked fewer times.
const MAX_CHECKS: u32 = 10;

/// Watches the calls of rules from a thread of its own.
#[derive(Debug)]
pub struct Watchdog {
    /// The number of the call under way; 0 between calls.
    call: Arc<AtomicU64>,
    calls: u64,
}

impl Watchdog {
    /// Start the thread.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(log: Logger) -> io::Result<Self> {
        let call = Arc::new(AtomicU64::new(0));
        let watched = Arc::clone(&call);
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&watched, &log))?;
        Ok(Self { call, calls: 0 })
    }

    /// Note that a call begins.
    pub fn begin(&mut self) {
        self.calls += 1;
        self.call.store(self.calls, Ordering::Relaxed);
    }

    /// Note that the call returned.
    pub fn end(&self) {
        self.call.store(0, Ordering::Relaxed);
    }
}

fn watch(call: &AtomicU64, log: &Logger) {
    let (mut seen, mut checks) = (0, 0);
    loop {
        thread::sleep(CHECK_INTERVAL);
        let now = call.load(Ordering::Relaxed);
        checks = if now == seen && now != 0 { checks + 1 } else { 0 };
        seen = now;
        if checks >= MAX_CHECKS {
            log.critical(format_args!(
                "a rule has not returned for {MAX_CHECKS} s and cannot be stopped: the manager kills itself, to be \
                 restarted"
            ));
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
