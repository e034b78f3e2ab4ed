//! [`MachineClock`]: reads the wall clock and the boot-time clock of the machine. It decides nothing.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use crate::process;
use nowcast_core::{BootId, BootTime, DecisionTime};

/// Both clocks must be read within this time: a pause in between, of a stopped process, would look like a step of the wall clock.
const TOGETHER: SignedDuration = SignedDuration::from_millis(1);

/// How many times they are read if there was a pause.
const ATTEMPTS: u32 = 10;

/// Return the CPU time that this thread has used: on a busy machine it passes more slowly than time.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.try_into().unwrap_or(0))
}

/// The clocks of the machine.
#[derive(Debug, Clone, Copy)]
pub struct MachineClock {
    /// This boot; `None` where the kernel does not say, and the wall clock is the only one that processes can compare.
    boot: Option<BootId>,
}

impl MachineClock {
    /// Return the clocks of this boot.
    #[must_use]
    pub fn new() -> Self {
        Self { boot: process::boot_id().ok().and_then(|boot| boot.parse().ok()) }
    }

    /// Read both clocks.
    #[must_use]
    pub fn read(&self) -> DecisionTime {
        let (mut wall, mut uptime) = read_once();
        for _ in 1..ATTEMPTS {
            let passed = self::uptime() - uptime;
            if passed <= TOGETHER {
                break;
            }
            (wall, uptime) = read_once();
        }
        let boot_time = self.boot.map(|boot| BootTime { boot, uptime });
        DecisionTime { wall: wall.to_zoned_datetime(TimeZone::system()), boot_time }
    }
}

impl Default for MachineClock {
    fn default() -> Self {
        Self::new()
    }
}

fn read_once() -> (Timestamp, SignedDuration) {
    let uptime = uptime();
    // A clock beyond the calendar is as wrong as one at its end.
    let wall = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX);
    (wall, uptime)
}

/// Return the time since the boot, including the time in which the machine was suspended.
#[must_use]
pub fn uptime() -> SignedDuration {
    let time = clock_gettime(ClockId::Boottime);
    let nanoseconds = i32::try_from(time.tv_nsec).unwrap_or_default();
    SignedDuration::new(time.tv_sec, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_on() {
        let clock = MachineClock::new();
        let [first, second] = [clock.read(), clock.read()];
        let boot_time = |time: &DecisionTime| time.boot_time.expect("this machine has a boot-time clock");
        assert_eq!(boot_time(&first).boot, boot_time(&second).boot);
        assert!(boot_time(&first).uptime > SignedDuration::ZERO);
        assert!(boot_time(&first).uptime < boot_time(&second).uptime);
    }
}
