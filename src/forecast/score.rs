//! How good forecasts were: pure functions of what was predicted and what happened.

use jiff::{SignedDuration, Timestamp};
use nowcast_core::TimeRange;
use serde::Serialize;

use super::range::range;

/// How many ends were in the predicted range, and how far they were from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EndScore {
    /// How many ends were predicted.
    pub ends: usize,
    /// How many of them were between the tenth and the ninetieth percentile.
    pub in_range: usize,
    /// The sum of the continuous ranked probability scores, in seconds: the mean distance of the predicted times from the real one, less
    /// half of their mean distance from one another. For a single predicted time it is the distance.
    #[serde(skip)]
    pub crps: f64,
    /// How many of the ends have a sum of medians, too.
    #[serde(skip)]
    pub compared: usize,
    /// The sum of the scores of those.
    #[serde(skip)]
    pub crps_compared: f64,
    /// The sum of the distances of the sums of medians from the real ends, in seconds.
    #[serde(skip)]
    pub of_medians: f64,
}

impl EndScore {
    /// Add an end that was predicted by these times, and by a sum of medians if there is one.
    pub fn add(&mut self, predicted: &[Timestamp], medians: Option<Timestamp>, end: Timestamp) {
        let mut predicted = predicted.to_vec();
        predicted.sort_unstable();
        let Some(TimeRange { p10: first, p90: last, .. }) = range(predicted.clone()) else { return };
        self.ends += 1;
        self.in_range += usize::from((first..=last).contains(&end));
        let crps = crps(&predicted, end);
        self.crps += crps;
        if let Some(medians) = medians {
            self.compared += 1;
            self.crps_compared += crps;
            self.of_medians += seconds(medians.duration_since(end)).abs();
        }
    }

    /// Add another score.
    pub fn merge(&mut self, other: &Self) {
        self.ends += other.ends;
        self.in_range += other.in_range;
        self.crps += other.crps;
        self.compared += other.compared;
        self.crps_compared += other.crps_compared;
        self.of_medians += other.of_medians;
    }

    /// Return the share of ends in the range.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        ratio(self.in_range, self.ends)
    }
}

/// How good probabilities of lateness were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatenessScore {
    /// For each deadline, the probability and whether the message was late.
    deadlines: Vec<(f64, bool)>,
}

impl LatenessScore {
    /// Add a deadline.
    pub fn add(&mut self, probability: f64, is_late: bool) {
        self.deadlines.push((probability, is_late));
    }

    /// Return how many deadlines there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.deadlines.len()
    }

    /// Return how many messages were late.
    #[must_use]
    pub fn late(&self) -> usize {
        self.deadlines.iter().filter(|(_, is_late)| *is_late).count()
    }

    /// Return the Brier score: the mean square of the difference between probability and result.
    #[must_use]
    pub fn brier(&self) -> f64 {
        self.mean(|probability, is_late| (probability, is_late))
    }

    /// Return the Brier score of the base rate: the share of late ones among the other deadlines.
    #[must_use]
    pub fn brier_of_base_rate(&self) -> f64 {
        let (late, others) = (self.late(), self.count().saturating_sub(1));
        self.mean(|_, is_late| (ratio(late - usize::from(is_late), others), is_late))
    }

    fn mean(&self, of: impl Fn(f64, bool) -> (f64, bool)) -> f64 {
        let square = |(probability, is_late): &(f64, bool)| {
            let (probability, is_late) = of(*probability, *is_late);
            (probability - f64::from(u8::from(is_late))).powi(2)
        };
        self.deadlines.iter().map(square).sum::<f64>() / as_f64(self.count().max(1))
    }
}

/// Return the continuous ranked probability score of sorted times, in seconds.
fn crps(sorted: &[Timestamp], end: Timestamp) -> f64 {
    let count = as_f64(sorted.len());
    let distance = sorted.iter().map(|time| seconds(time.duration_since(end)).abs()).sum::<f64>() / count;
    // Of sorted values, the sum of all distances between two of them is that of each value times how many are before it, less how many are behind.
    let Some(origin) = sorted.first() else { return 0.0 };
    let of_pairs: f64 = (0..)
        .zip(sorted)
        .map(|(index, time)| {
            let weight = 2.0 * f64::from(index) - count + 1.0;
            weight * seconds(time.duration_since(*origin))
        })
        .sum();
    distance - of_pairs / (count * count)
}

fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64()
}

/// Return a share; 1 of nothing.
#[must_use]
pub fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { as_f64(part) / as_f64(whole) }
}

fn as_f64(count: usize) -> f64 {
    // There are fewer runs than 32 bits count.
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn is_near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn an_end_is_in_range_between_the_tenth_and_the_ninetieth_percentile() {
        let predicted: Vec<Timestamp> = (1..=19).map(at).collect();
        let mut score = EndScore::default();
        for minutes in 0..=20 {
            score.add(&predicted, None, at(minutes));
        }
        assert_eq!((score.ends, score.in_range), (21, 17), "from 2 to 18");
        assert!(is_near(score.coverage(), 17.0 / 21.0));
    }

    #[test]
    fn the_score_of_a_single_time_is_its_distance_and_spread_that_is_right_is_rewarded() {
        let mut score = EndScore::default();
        score.add(&[at(10)], Some(at(12)), at(13));
        assert!(is_near(score.crps, 180.0) && is_near(score.of_medians, 60.0));
        // By definition: mean distance less half of the mean distance of all pairs, each with itself included.
        let predicted = [at(0), at(10), at(40)];
        let of_pairs = (10.0 + 40.0 + 30.0) * 60.0 * 2.0 / 9.0;
        assert!(is_near(crps(&predicted, at(10)), (10.0 + 0.0 + 30.0) * 60.0 / 3.0 - of_pairs / 2.0));
    }

    #[test]
    fn the_base_rate_knows_only_the_other_deadlines() {
        let mut score = LatenessScore::default();
        for (probability, is_late) in [(0.9, true), (0.1, false), (0.1, false)] {
            score.add(probability, is_late);
        }
        assert!(is_near(score.brier(), 0.01));
        assert!(is_near(score.brier_of_base_rate(), (1.0 + 0.25 + 0.25) / 3.0));
    }
}
