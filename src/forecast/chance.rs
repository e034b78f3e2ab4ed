//! [`Chance`]: the random numbers of a forecast. Each is a function of what it is for, so that one run more or less leaves all others as
//! they are: two forecasts with the same seed can be compared run by run.

/// The random numbers of one draw.
#[derive(Debug, Clone, Copy)]
pub struct Chance(u64);

/// What a random number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purpose(u64);

/// A choice between so many, each as probable as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// What is chosen.
    pub purpose: Purpose,
    /// How many there are.
    pub count: usize,
}

impl Chance {
    /// Return those of a draw.
    #[must_use]
    pub fn new(seed: u64, draw: u32) -> Self {
        Self(mixed(mixed(seed).wrapping_add(u64::from(draw))))
    }

    /// Return which one is chosen, counted from 0.
    #[must_use]
    pub fn pick(self, choice: Choice) -> usize {
        let scaled = u128::from(mixed(self.0 ^ choice.purpose.0)) * (choice.count as u128);
        // Less than the count.
        usize::try_from(scaled >> 64).unwrap_or(0)
    }
}

impl Purpose {
    /// Return that of a part that a text names.
    #[must_use]
    pub fn of_text(self, text: &str) -> Self {
        text.bytes().fold(self, |purpose, byte| purpose.of(u64::from(byte)))
    }

    /// Return that of a part with a number.
    #[must_use]
    pub fn of(self, number: u64) -> Self {
        Self(mixed(self.0 ^ number))
    }
}

/// The step of `SplitMix64`: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_is_picked_about_as_often() {
        let purpose = Purpose::default().of_text("2026-11-24").of(3);
        let mut counts = [0; 5];
        for draw in 0..5_000 {
            counts[Chance::new(7, draw).pick(Choice { purpose, count: 5 })] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(Chance::new(7, 0).pick(Choice { purpose, count: 0 }), 0);
    }

    #[test]
    fn draws_seeds_and_purposes_have_numbers_of_their_own() {
        let number =
            |seed, draw, purpose| Chance::new(seed, draw).pick(Choice { purpose, count: usize::MAX });
        let purpose = Purpose::default();
        let one = number(7, 1, purpose);
        assert_eq!(one, number(7, 1, purpose));
        for other in [
            number(8, 1, purpose),
            number(7, 2, purpose),
            number(7, 1, purpose.of(0)),
            number(7, 1, purpose.of_text("a")),
        ] {
            assert_ne!(one, other);
        }
    }
}
