//! [`RefusedRuns`]: the runs that the operating system refused to start or to watch, and which of them are tried next. It reads no
//! clock and starts nothing.
//!
//! In a shortage one run is tried, after pauses that become longer: five thousand attempts a second would prolong it. Once one has
//! succeeded, the others follow a few at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The pause before the first attempt of a shortage; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause between two attempts, and the longest wait for the outcome of one.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How many runs are tried in one turn of the loop after a shortage, as of new launches: messages come in between.
const MAX_PER_TURN: usize = 20;

/// The refused runs, those that were refused first at the front.
#[derive(Debug)]
pub(super) struct RefusedRuns<Key> {
    waiting: VecDeque<Key>,
    is_short: bool,
    pause: Duration,
    /// The last attempt in a shortage, until its outcome is known.
    attempt: Option<(Key, Instant)>,
    due: Option<Instant>,
}

impl<Key> Default for RefusedRuns<Key> {
    fn default() -> Self {
        let waiting = VecDeque::new();
        Self { waiting, is_short: false, pause: FIRST_PAUSE, attempt: None, due: None }
    }
}

impl<Key: Copy + Eq> RefusedRuns<Key> {
    /// Add a run that was refused. Return whether a shortage begins with it.
    pub(super) fn add(&mut self, run: Key, now: Instant) -> bool {
        self.waiting.push_back(run);
        if self.attempted() == Some(run) {
            self.attempt = None;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            self.due = Some(now + self.pause);
        }
        let begins = !self.is_short;
        if begins {
            self.is_short = true;
            self.due = Some(now + self.pause);
        }
        begins
    }

    /// Return when the next runs are due; `None` without a shortage and refused runs.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Return the run that was tried last in a shortage and was not refused again.
    pub(super) fn attempted(&self) -> Option<Key> {
        self.attempt.map(|(run, _)| run)
    }

    /// Return the runs to try now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Key> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        if !self.is_short {
            let runs = self.waiting.drain(..self.waiting.len().min(MAX_PER_TURN)).collect();
            self.due = (!self.waiting.is_empty()).then_some(now);
            return runs;
        }
        // The outcome of the attempt is looked for.
        self.due = Some(now + FIRST_PAUSE);
        if self.attempt.is_some_and(|(_, tried)| now < tried + LONGEST_PAUSE) {
            return Vec::new();
        }
        let next = self.waiting.pop_front();
        self.attempt = next.map(|run| (run, now)).or(self.attempt);
        next.into_iter().collect()
    }

    /// Note that the attempt has succeeded: the shortage is over.
    pub(super) fn end_shortage(&mut self, now: Instant) {
        let waiting = std::mem::take(&mut self.waiting);
        let due = (!waiting.is_empty()).then_some(now);
        *self = Self { waiting, due, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs that are tried until a moment, which are refused again, with the milliseconds since the start.
    fn refused(runs: &mut RefusedRuns<u32>, start: Instant, until: Duration) -> Vec<(u32, u128)> {
        let mut tried = Vec::new();
        while let Some(due) = runs.due().filter(|due| *due <= start + until) {
            for run in runs.take_due(due) {
                tried.push((run, due.duration_since(start).as_millis()));
                assert!(!runs.add(run, due), "the shortage goes on");
            }
        }
        tried
    }

    #[test]
    fn in_a_shortage_one_run_is_tried_after_pauses_that_double() {
        let (start, mut runs) = (Instant::now(), RefusedRuns::default());
        let begins: Vec<bool> = (1..=5_000).map(|run| runs.add(run, start)).collect();
        assert_eq!(begins.iter().filter(|begins| **begins).count(), 1);
        let tried = refused(&mut runs, start, Duration::from_secs(16));
        assert_eq!(tried, [(1, 250), (2, 750), (3, 1_750), (4, 3_750), (5, 7_750), (6, 11_750), (7, 15_750)]);
    }

    #[test]
    fn after_a_shortage_runs_are_tried_a_few_at_a_time() {
        let (start, mut runs) = (Instant::now(), RefusedRuns::default());
        for run in 1..=50 {
            runs.add(run, start);
        }
        let later = start + FIRST_PAUSE;
        assert_eq!(runs.take_due(later), [1]);
        assert_eq!(runs.attempted(), Some(1));
        assert!(runs.take_due(later + FIRST_PAUSE).is_empty(), "the outcome is not known");
        runs.end_shortage(later);
        let turns: Vec<usize> = (0..4).map(|_| runs.take_due(later).len()).collect();
        assert_eq!((turns, runs.due()), (vec![20, 20, 9, 0], None));
    }

    #[test]
    fn an_attempt_without_an_outcome_delays_the_others_for_a_limited_time() {
        let (start, mut runs) = (Instant::now(), RefusedRuns::default());
        runs.add(1, start);
        runs.add(2, start);
        let later = start + FIRST_PAUSE;
        assert_eq!(runs.take_due(later), [1]);
        assert_eq!(runs.take_due(later + LONGEST_PAUSE), [2]);
        assert!(!runs.add(1, later + LONGEST_PAUSE), "it was refused late");
        assert_eq!(runs.attempted(), Some(2));
    }
}
