//! Runs that take far longer than like ones did, so that a worker that hangs is seen without a `timeout`.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::attention::{Attention, AttentionKind, labels};
use super::context::ViewContext;
use super::hint::Hint;
use super::run::label;
use super::times::span;
use crate::forecast::like::Likeness;
use crate::store::journal::{JournalError, OpenItems};
use nowcast_core::Run;

/// Fewer like runs do not tell what is unusual.
const LEAST_RUNS: usize = 20;

/// How many of the latest like runs are compared with.
const MOST_RUNS: usize = 200;

/// How long like runs took.
struct Usual {
    median: SignedDuration,
    p99: SignedDuration,
}

impl Usual {
    fn of(mut durations: Vec<SignedDuration>) -> Option<Self> {
        if durations.len() < LEAST_RUNS {
            return None;
        }
        durations.sort_unstable();
        let at = |percent: usize| durations[(durations.len() * percent).div_ceil(100) - 1];
        Some(Self { median: at(50), p99: at(99) })
    }

    /// Return whether a run of this duration is far beyond the usual end.
    fn is_exceeded_by(&self, duration: SignedDuration) -> bool {
        duration > self.p99 && duration > self.median * 2
    }
}

/// Return an item for each running run that is far beyond its usual end.
pub(super) fn of_slow_runs(context: &ViewContext, open: &OpenItems) -> Result<Vec<Attention>, JournalError> {
    // Many runs may be alike, so their past is read once.
    let mut known: BTreeMap<Likeness, Option<Usual>> = BTreeMap::new();
    let mut items = Vec::new();
    for run in open.runs.iter().filter(|run| run.is_running()) {
        let likeness = Likeness::of(&run.worker);
        if !known.contains_key(&likeness) {
            let is_like = |worker: &_| Likeness::of(worker) == likeness;
            let durations = context.history.durations(run.worker.name(), is_like, MOST_RUNS)?;
            known.insert(likeness.clone(), Usual::of(durations));
        }
        let usual = known.get(&likeness).and_then(Option::as_ref);
        items.extend(usual.and_then(|usual| of_run(run, usual, context)));
    }
    Ok(items)
}

fn of_run(run: &Run, usual: &Usual, context: &ViewContext) -> Option<Attention> {
    let elapsed = run.duration(context.present.steady)?;
    if !usual.is_exceeded_by(elapsed) {
        return None;
    }
    let reason = format!(
        "it has been running for {}; half of such runs end within {}, 99 % within {}",
        span(elapsed),
        span(usual.median),
        span(usual.p99)
    );
    let number = run.id.0;
    Some(Attention {
        cycles: labels(&run.cycle),
        hints: vec![
            Hint::new(format!("nowcast tail {number}")),
            Hint::new(format!("nowcast why {number}")),
            Hint::new(format!("nowcast kill {number}")),
        ],
        ..Attention::new(AttentionKind::Slow, label(&run.worker), reason).numbered(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: impl IntoIterator<Item = i64>) -> Vec<SignedDuration> {
        minutes.into_iter().map(SignedDuration::from_mins).collect()
    }

    #[test]
    fn few_runs_do_not_tell_what_is_unusual() {
        assert!(Usual::of(minutes([10; 19])).is_none());
        assert!(Usual::of(minutes([10; 20])).is_some());
    }

    #[test]
    fn a_slow_run_is_beyond_the_99th_percentile_and_twice_the_median() {
        let is_slow = |usual: &Usual, minutes| usual.is_exceeded_by(SignedDuration::from_mins(minutes));
        let steady = Usual::of(minutes([10; 40])).expect("enough");
        assert!(!is_slow(&steady, 20) && is_slow(&steady, 21));
        // Of 100 runs, one took 90 minutes: that is the hundredth, not the 99th.
        let varied = (0..98).map(|_| 10).chain([60, 90]);
        let varied = Usual::of(minutes(varied)).expect("enough");
        assert!(!is_slow(&varied, 60) && is_slow(&varied, 61));
    }
}
