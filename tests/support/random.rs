//! Random numbers for tests that draw what they do.

use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that look random.
pub struct Random(u64);

impl Random {
    /// Return the seed of this run of a test and print it. The environment variable `SEED` sets it.
    pub fn seed() -> u64 {
        let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_micros());
        let seed = given.unwrap_or_else(|| u64::try_from(now()).unwrap_or(1));
        println!("SEED={seed}");
        seed
    }

    pub fn new() -> Self {
        Self(Self::seed())
    }

    /// Return one of several sequences of numbers with the same seed, for a thread of its own each.
    pub fn of(seed: u64, sequence: u64) -> Self {
        // The step of SplitMix64: sequences do not begin beside each other.
        Self(seed.wrapping_add(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number below that one.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Keeps the processor busy for a moment.
    pub fn spin(&mut self) {
        for round in 0..self.below(2_000_000) {
            std::hint::black_box(round);
        }
    }
}
