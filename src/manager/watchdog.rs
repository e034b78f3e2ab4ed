//! The watchdog: ends a manager whose rule does not come back, so that its supervisor starts another one.
//!
//! The limits of a rule are held where Lua runs; this is for what they do not reach.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use pylogging::Logger;

/// How often it checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How many checks may find the same call. A limit in checks, not in time: a machine that was asleep has
/// looked less often.
const MAX_CHECKS: u32 = 10;

/// Watches the calls of rules from a thread of its own.
#[derive(Debug)]
pub struct Watchdog {
    /// The number of the call under way; 0 between calls.
    call: Arc<AtomicU64>,
    calls: u64,
}

impl Watchdog {
    /// Starts watching.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(log: Logger) -> io::Result<Self> {
        let call = Arc::new(AtomicU64::new(0));
        let watched = Arc::clone(&call);
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&watched, &log))?;
        Ok(Self { call, calls: 0 })
    }

    /// A call begins.
    pub fn begin(&mut self) {
        self.calls += 1;
        self.call.store(self.calls, Ordering::Relaxed);
    }

    /// It came back.
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
                "a rule has not come back for {MAX_CHECKS} s and cannot be stopped: the manager ends itself, to be started \
                 again"
            ));
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
