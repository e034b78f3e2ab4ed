//! [`DueClock`]: when the manager decides what is due.
//!
//! It reads the machine's clocks and the monotonic clock, and never decides anything.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::clock::MachineClock;
use nowcast_core::{DecisionTime, Now, Steady, TimePoint};

/// The time after its start in which a manager treats nothing as due: requests that wait at the broker come first.
const SETTLING: Duration = Duration::from_secs(2);

/// Holds the moment up to which everything that was due has been decided.
#[derive(Debug)]
pub(super) struct DueClock {
    machine: MachineClock,
    decided_up_to: TimePoint,
    /// Nothing is due before this moment.
    settled_at: Instant,
}

impl DueClock {
    /// Start with a manager: everything that became due while no manager ran is still to be decided.
    pub(super) fn start() -> Self {
        Self {
            machine: MachineClock::new(),
            decided_up_to: TimePoint::by_wall_clock(Timestamp::MIN),
            settled_at: Instant::now() + SETTLING,
        }
    }

    /// Read the clocks, for a decision.
    pub(super) fn read(&self) -> DecisionTime {
        self.machine.read()
    }

    /// Return the moment up to which everything that was due has been decided. By the wall clock it is never later than now, since
    /// that may have been set back.
    pub(super) fn decided_up_to(&mut self, now: Now) -> TimePoint {
        self.decided_up_to.wall = self.decided_up_to.wall.min(now.wall);
        self.decided_up_to
    }

    /// Return that moment as it was noted: by the wall clock it may be later than now.
    pub(super) fn last_decided(&self) -> TimePoint {
        self.decided_up_to
    }

    /// Whether something that is due at that point of steady time is decided now.
    pub(super) fn is_due(&self, due: Option<Steady>, now: Now) -> bool {
        due.is_some_and(|due| due <= now.steady) && Instant::now() >= self.settled_at
    }

    /// Note that everything that was due by now is decided.
    pub(super) fn advance(&mut self, now: Now) {
        self.decided_up_to = now.time;
    }

    /// Return how long to wait until something that is due at that point of steady time is decided.
    pub(super) fn wait_for(&self, due: Steady, now: Now) -> Duration {
        let remaining = due.since(now.steady).unsigned_abs();
        remaining.max(self.settled_at.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Now {
        Now::by_wall_clock(Timestamp::from_second(second).unwrap())
    }

    fn due(second: i64) -> Steady {
        at(second).steady
    }

    #[test]
    fn nothing_is_due_until_the_manager_has_settled() {
        let mut clock = DueClock::start();
        assert!(!clock.is_due(Some(due(1)), at(2)));
        assert!(clock.wait_for(due(1), at(2)) > Duration::ZERO, "the loop does not spin meanwhile");
        clock.settled_at = Instant::now();
        assert!(clock.is_due(Some(due(1)), at(2)));
        assert!(!clock.is_due(Some(due(3)), at(2)));
        assert!(!clock.is_due(None, at(2)));
        assert_eq!(clock.wait_for(due(1), at(2)), Duration::ZERO);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_hides_nothing() {
        let mut clock = DueClock::start();
        clock.advance(at(100));
        assert_eq!(clock.decided_up_to(at(110)), at(100).time);
        let set_back = TimePoint { wall: at(50).wall, steady: due(100) };
        assert_eq!(clock.decided_up_to(at(50)), set_back);
        assert_eq!(clock.decided_up_to(at(60)), set_back);
    }
}
