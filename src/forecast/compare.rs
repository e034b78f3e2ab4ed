//! [`Comparison`]: a forecast in which something is supposed, and what that changes. Both have the same random numbers, so what differs
//! differs for that reason.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::summary::{ExpectationForecast, Forecast, RunForecast, TimeRange, UnknownEnd};

/// A forecast and what is different in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The forecast with what is supposed.
    #[serde(flatten)]
    pub forecast: Forecast,
    /// The runs that are different.
    pub changed_runs: Vec<RunChange>,
    /// The expected messages that are different.
    pub changed_expected: Vec<ExpectationChange>,
}

/// A run that is different.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunChange {
    /// Its cycle; `None` for a run without one.
    pub cycle: Option<String>,
    /// The worker.
    pub worker: String,
    /// The arguments.
    pub args: Vec<String>,
    /// The host.
    pub host: String,
    /// 1 for the first execution, one more for each retry.
    pub attempt: u32,
    /// Without what is supposed; `None` if there is no such run.
    pub before: Option<RunTimes>,
    /// With what is supposed; `None` if there is no such run.
    pub after: Option<RunTimes>,
}

/// What is compared of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RunTimes {
    /// The share of futures in which it is launched.
    pub probability: f64,
    /// When it begins, in those.
    pub begin: Option<TimeRange>,
    /// When it ends, where it does.
    pub end: Option<TimeRange>,
    /// The share of futures in which it fails.
    pub fails: f64,
    /// Why no end is predicted.
    pub unknown: Option<UnknownEnd>,
}

/// An expected message that is different.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpectationChange {
    /// The worker.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// The cycle of the message, if it must be of one.
    pub cycle: Option<String>,
    /// The deadline.
    pub deadline: Timestamp,
    /// Without what is supposed.
    pub before: MessageTimes,
    /// With what is supposed.
    pub after: MessageTimes,
}

/// What is compared of an expected message.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MessageTimes {
    /// The share of futures in which it comes.
    pub probability: f64,
    /// When it comes, in those.
    pub time: Option<TimeRange>,
    /// The probability that it is late; `None` if that is not known.
    pub late: Option<f64>,
}

impl Comparison {
    /// Compare a forecast with the one of the present as it is. Both begin at the same start.
    #[must_use]
    pub fn new(before: &Forecast, after: Forecast) -> Self {
        let mut runs: BTreeMap<_, (Option<&RunForecast>, Option<&RunForecast>)> = BTreeMap::new();
        for run in &before.runs {
            runs.entry(&run.key).or_default().0 = Some(run);
        }
        for run in &after.runs {
            runs.entry(&run.key).or_default().1 = Some(run);
        }
        let mut changed_runs: Vec<RunChange> =
            runs.into_values().filter_map(|(before, after)| RunChange::between(before, after)).collect();
        let begin = |change: &RunChange| {
            let times = change.before.into_iter().chain(change.after);
            times.filter_map(|times| times.begin).map(|begin| begin.median).min()
        };
        // The sort is stable, so runs that begin together keep the order of their keys.
        changed_runs.sort_by_key(|change| begin(change).unwrap_or(Timestamp::MAX));
        let both = before.expected.iter().zip(&after.expected);
        let changed_expected = both.filter_map(|(before, after)| ExpectationChange::between(before, after));
        let changed_expected = changed_expected.collect();
        Self { changed_runs, changed_expected, forecast: after }
    }
}

impl RunChange {
    fn between(before: Option<&RunForecast>, after: Option<&RunForecast>) -> Option<Self> {
        let run = after.or(before)?;
        let (before, after) = (before.map(RunTimes::of), after.map(RunTimes::of));
        (before != after).then(|| Self {
            cycle: run.cycle.clone(),
            worker: run.worker.clone(),
            args: run.args.clone(),
            host: run.host.clone(),
            attempt: run.attempt,
            before,
            after,
        })
    }
}

impl RunTimes {
    fn of(run: &RunForecast) -> Self {
        Self {
            probability: run.probability,
            begin: run.begin,
            end: run.end,
            fails: run.fails,
            unknown: run.unknown,
        }
    }
}

impl ExpectationChange {
    fn between(before: &ExpectationForecast, after: &ExpectationForecast) -> Option<Self> {
        let times = |one: &ExpectationForecast| MessageTimes {
            probability: one.probability,
            time: one.time,
            late: one.late,
        };
        let (before, times_after) = (times(before), times(after));
        (before != times_after).then(|| Self {
            worker: after.worker.clone(),
            r#type: after.r#type.clone(),
            cycle: after.cycle.clone(),
            deadline: after.deadline,
            before,
            after: times_after,
        })
    }
}
