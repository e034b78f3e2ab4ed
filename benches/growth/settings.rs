//! How thoroughly to measure.

use std::time::Duration;

/// Rounds, their durations, and how many sizes of each curve.
pub struct Settings {
    /// Rounds of which the best counts.
    pub rounds: u32,
    /// How long one message at a time is sent in a round.
    pub single: Duration,
    /// How long many messages are in flight in a round.
    pub many: Duration,
    /// Sizes of each curve, the smallest first.
    sizes: usize,
}

impl Settings {
    /// Everything, as it is on the page; `is_quick`: only the two smallest sizes, each measured once for a moment, which is enough to know
    /// that the program works.
    pub fn new(is_quick: bool) -> Self {
        let moment = Duration::from_millis(100);
        if is_quick {
            return Self { rounds: 1, single: moment, many: moment, sizes: 2 };
        }
        Self { rounds: 8, single: Duration::from_secs(1), many: Duration::from_secs(2), sizes: usize::MAX }
    }

    /// Return the sizes to measure.
    pub fn of<T: Copy>(&self, sizes: &[T]) -> Vec<T> {
        sizes.iter().take(self.sizes).copied().collect()
    }
}
