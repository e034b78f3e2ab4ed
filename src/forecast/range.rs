//! Ranges of simulated times.

use jiff::Timestamp;
use nowcast_core::TimeRange;

/// Return when something happens, given its time in each future: the median, and a range in which it lies with a probability of 80 %; `None`
/// of none.
///
/// The futures are drawn from a few past days, so their own tenths would be too narrow a range: the next day is outside of the least and
/// greatest of N others with a probability of 2/(N+1). So the limits are those of rank 0.1 (N+1) from either end among the N different times,
/// and never beyond them.
#[must_use]
pub fn range(mut times: Vec<Timestamp>) -> Option<TimeRange> {
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    let mut different = times.clone();
    different.dedup();
    let rank = (different.len() + 1).max(10);
    // The middle of the draws of that rank: (0.1 (N+1) - 0.5) / N, in thousandths.
    let tail = (100 * rank - 500) / different.len();
    let at = |thousandths: usize| times[(last * thousandths + 500) / 1_000];
    Some(TimeRange { p10: at(tail.min(500)), median: at(500), p90: at(1_000 - tail.min(500)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn minutes(minutes: impl IntoIterator<Item = i64>) -> Vec<Timestamp> {
        minutes
            .into_iter()
            .map(|minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes))
            .collect()
    }

    /// The range in minutes, if each time is drawn ten times.
    fn drawn(times: i64) -> (i64, i64, i64) {
        let range =
            range(minutes((1..=times).flat_map(|time| std::iter::repeat_n(time, 10)))).expect("a range");
        let minute = |time: Timestamp| time.as_second() / 60;
        (minute(range.p10), minute(range.median), minute(range.p90))
    }

    #[test]
    fn a_range_of_few_days_is_that_of_all_and_one_of_many_leaves_out_a_tenth_at_either_end() {
        assert_eq!(range(Vec::new()), None);
        assert_eq!(drawn(1), (1, 1, 1));
        assert_eq!(drawn(4), (1, 3, 4));
        assert_eq!(drawn(9), (1, 5, 9));
        assert_eq!(drawn(12), (1, 7, 12));
        assert_eq!(drawn(19), (2, 10, 18));
        assert_eq!(drawn(99), (10, 50, 90));
    }
}
