//! [`DueClock`]: when the manager decides what is due.
//!
//! It reads the wall clock and the monotonic clock, and never decides anything.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The time after its start in which a manager treats nothing as due: requests that wait at the broker come first.
const SETTLING: Duration = Duration::from_secs(2);

/// Holds the moment up to which everything that was due has been decided.
#[derive(Debug)]
pub(super) struct DueClock {
    decided_up_to: Timestamp,
    /// Nothing is due before this moment.
    settled_at: Instant,
}

impl DueClock {
    /// Start with a manager: everything that became due while no manager ran is still to be decided.
    pub(super) fn start() -> Self {
        Self { decided_up_to: Timestamp::MIN, settled_at: Instant::now() + SETTLING }
    }

    /// Return the moment up to which everything that was due has been decided. It is never later than now, since the wall
    /// clock may have been set back.
    pub(super) fn decided_up_to(&mut self, now: Timestamp) -> Timestamp {
        self.decided_up_to = self.decided_up_to.min(now);
        self.decided_up_to
    }

    /// Return the same moment without regard to the wall clock.
    pub(super) fn last_decided(&self) -> Timestamp {
        self.decided_up_to
    }

    /// Whether something that is due at that moment is decided now.
    pub(super) fn is_due(&self, due: Option<Timestamp>, now: Timestamp) -> bool {
        due.is_some_and(|due| due <= now) && Instant::now() >= self.settled_at
    }

    /// Note that everything that was due by now is decided.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.decided_up_to = now;
    }

    /// Return how long to wait until something that is due at that moment is decided.
    pub(super) fn wait_for(&self, due: Timestamp, now: Timestamp) -> Duration {
        let remaining = Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO);
        remaining.max(self.settled_at.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn nothing_is_due_until_the_manager_has_settled() {
        let mut clock = DueClock::start();
        assert!(!clock.is_due(Some(at(1)), at(2)));
        assert!(clock.wait_for(at(1), at(2)) > Duration::ZERO, "the loop does not spin meanwhile");
        clock.settled_at = Instant::now();
        assert!(clock.is_due(Some(at(1)), at(2)));
        assert!(!clock.is_due(Some(at(3)), at(2)));
        assert!(!clock.is_due(None, at(2)));
        assert_eq!(clock.wait_for(at(1), at(2)), Duration::ZERO);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_hides_nothing() {
        let mut clock = DueClock::start();
        clock.advance(at(100));
        assert_eq!(clock.decided_up_to(at(110)), at(100));
        assert_eq!(clock.decided_up_to(at(50)), at(50));
        assert_eq!(clock.decided_up_to(at(60)), at(50));
    }
}
