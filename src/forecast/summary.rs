//! [`Forecast`]: what the simulated futures have in common. Its keys are those of the JSON; `docs/forecast.md` lists them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::draw::RunKey;
use super::futures::{self, Draws};
use super::history::CycleKey;
use super::range::range;
use super::simulate::{Trace, TracedEnd, TracedRun, has_failed};
use super::start::{ForecastError, ForecastRules, Start};
use super::what_if::WhatIf;
pub use nowcast_core::TimeRange;
use nowcast_core::run::Stage;
use nowcast_core::{ExpectedForecast, NextWorker, OpenDeadline};

/// The most runs of a path that decides an end.
const LONGEST_PATH: usize = 50;

/// A forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// When it begins.
    pub begin: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// The last event that it knows.
    pub based_on: u64,
    /// The seed of its draws.
    pub seed: u64,
    /// How many futures were simulated.
    pub draws: usize,
    /// Whether there was no time for all of them.
    pub is_cut_short: bool,
    /// How many runs of the past it draws from.
    pub past_runs: usize,
    /// How many cycles or days these are of.
    pub past_cycles: usize,
    /// The runs that run, are pending or come, in the order of their beginnings. Those that are never launched are last.
    pub runs: Vec<RunForecast>,
    /// The expected messages that have not come, by their deadlines.
    pub expected: Vec<ExpectationForecast>,
    /// The messages whose rule failed.
    pub failed_rules: Vec<FailedRule>,
    /// The share of futures that end early since they have too many events.
    pub endless: f64,
}

/// The state of a run when the forecast begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenState {
    /// It runs.
    Running,
    /// It is pending.
    Pending,
    /// There is no such run yet.
    ToCome,
}

/// What is predicted of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunForecast {
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
    /// Its number, if it is open now.
    pub number: Option<u64>,
    /// Whether it runs, is pending or comes.
    pub state: OpenState,
    /// The share of futures in which it is launched.
    pub probability: f64,
    /// When it begins, in those.
    pub begin: Option<TimeRange>,
    /// The share of futures in which it ends.
    pub ends: f64,
    /// When it ends, in those.
    pub end: Option<TimeRange>,
    /// The share of futures in which it fails.
    pub fails: f64,
    /// Why no end is predicted.
    pub unknown: Option<UnknownEnd>,
    /// What keeps it from being launched.
    pub blocked_by: Option<String>,
    /// The runs that decide when it ends, the first one first and itself last.
    pub path: Vec<String>,
    #[serde(skip)]
    pub(super) key: RunKey,
}

/// Why no end of a run is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownEnd {
    /// No past run is like it.
    NoHistory,
    /// It runs longer than each past one.
    LongerThanEver,
}

/// What is predicted of an expected message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpectationForecast {
    /// The worker.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// The cycle of the message, if it must be of one.
    pub cycle: Option<String>,
    /// The deadline.
    pub deadline: Timestamp,
    /// The share of futures in which it comes.
    pub probability: f64,
    /// When it comes, in those.
    pub time: Option<TimeRange>,
    /// The probability that it is late, from 0 to 1; `None` if that is not known: it depends on a run without history, or on a rule that fails.
    pub late: Option<f64>,
    /// The runs that decide when it comes.
    pub path: Vec<String>,
}

impl ExpectationForecast {
    /// Return what a warning ahead needs of it.
    #[must_use]
    pub fn brief(&self) -> ExpectedForecast {
        // From 0 to 100.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let percent = |share: f64| (share.clamp(0.0, 1.0) * 100.0).round() as u8;
        ExpectedForecast {
            worker: self.worker.clone(),
            r#type: self.r#type.clone(),
            cycle: self.cycle.clone(),
            deadline: self.deadline,
            time: self.time,
            late: self.late.map(percent),
        }
    }
}

/// A message whose rule failed in simulated futures. What follows it is unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedRule {
    /// Worker and message type: `make_plots: (success)`.
    pub message: String,
    /// Why it failed, the first time.
    pub reason: String,
    /// The share of futures in which it failed.
    pub probability: f64,
}

impl Forecast {
    /// Simulate the futures after a start, and sum them up.
    ///
    /// # Errors
    /// The journal cannot be read, or the rules cannot be used any more.
    pub fn of(
        start: &Start,
        rules: &ForecastRules,
        what_if: &WhatIf,
        draws: Draws,
    ) -> Result<Self, ForecastError> {
        let traces = futures::simulate(start, rules, what_if, draws)?;
        Ok(Self::sum_up(start, draws, &traces))
    }

    /// Sum up simulated futures.
    #[must_use]
    pub fn sum_up(start: &Start, draws: Draws, traces: &[Arc<Trace>]) -> Self {
        let paths = Paths::new(traces);
        let mut runs: Vec<RunForecast> =
            paths.runs.values().map(|found| of_run(start, traces, &paths, found)).collect();
        runs.sort_by(|one, other| {
            let time = |run: &RunForecast| run.begin.map_or(Timestamp::MAX, |begin| begin.median);
            time(one).cmp(&time(other)).then_with(|| one.key.cmp(&other.key))
        });
        let expected = start.deadlines.iter().enumerate();
        let expected = expected.map(|(index, deadline)| of_deadline(start, deadline, index, traces, &paths));
        let endless = traces.iter().filter(|trace| trace.is_endless).count();
        Self {
            begin: start.begin.timestamp(),
            until: start.until,
            based_on: start.based_on.0,
            seed: draws.seed,
            draws: traces.len(),
            is_cut_short: u32::try_from(traces.len()) != Ok(draws.count),
            past_runs: start.past.runs().len(),
            past_cycles: start.past.cycles().len(),
            runs,
            expected: expected.collect(),
            failed_rules: failed_rules(traces),
            endless: share(endless, traces.len()),
        }
    }
}

/// Where a run is in the futures: the future and the position in it.
type RunPlaces = Vec<(usize, usize)>;

/// The runs of all futures, each with its number and its places, for the paths that lead to them.
struct Paths<'a> {
    traces: &'a [Arc<Trace>],
    runs: BTreeMap<&'a RunKey, (usize, RunPlaces)>,
    /// A launch of each as text, by number.
    names: Vec<String>,
    /// For each future, the number of each run.
    numbers: Vec<Vec<usize>>,
}

impl<'a> Paths<'a> {
    fn new(traces: &'a [Arc<Trace>]) -> Self {
        let mut paths = Self { traces, runs: BTreeMap::new(), names: Vec::new(), numbers: Vec::new() };
        for (future, trace) in traces.iter().enumerate() {
            let mut numbers = Vec::with_capacity(trace.runs.len());
            for (position, run) in trace.runs.iter().enumerate() {
                let next = paths.names.len();
                let (number, places) = paths.runs.entry(&run.key).or_insert_with(|| (next, Vec::new()));
                places.push((future, position));
                numbers.push(*number);
                if *number == next {
                    paths.names.push(shown(&run.worker));
                }
            }
            paths.numbers.push(numbers);
        }
        paths
    }

    /// The numbers of the runs that lead to a place, itself last; of a long path its end.
    fn leading_to(&self, (future, position): (usize, usize)) -> Vec<usize> {
        let (mut path, mut next) = (Vec::new(), Some(position));
        while let Some(position) = next.filter(|_| path.len() < LONGEST_PATH) {
            path.push(self.numbers[future][position]);
            // A run is decided by one that was launched before it.
            next = self.traces[future].runs[position].decided_by.filter(|before| *before < position);
        }
        path.reverse();
        path
    }

    /// The most frequent path to these places, of those whose times are near the median.
    fn usual(&self, mut timed: Vec<(Timestamp, (usize, usize))>) -> Vec<String> {
        timed.sort_unstable();
        let near = timed.len() / 4..timed.len().div_ceil(4) * 3;
        let near = timed.get(near.start..near.end.min(timed.len())).unwrap_or(&timed);
        let mut counts: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for (_, place) in near {
            *counts.entry(self.leading_to(*place)).or_default() += 1;
        }
        // Of equally frequent ones, the first.
        let usual = counts.into_iter().rev().max_by_key(|(_, count)| *count);
        let path = usual.map(|(path, _)| path).unwrap_or_default();
        path.into_iter().map(|number| self.names[number].clone()).collect()
    }
}

/// A launch as one line, without its options.
fn shown(worker: &NextWorker) -> String {
    let plain = NextWorker { options: nowcast_core::LaunchOptions::default(), ..worker.clone() };
    crate::trial::show::launch(&plain)
}

fn of_run(
    start: &Start,
    traces: &[Arc<Trace>],
    paths: &Paths<'_>,
    (_, places): &(usize, RunPlaces),
) -> RunForecast {
    let run = |(future, position): (usize, usize)| &traces[future].runs[position];
    let all = || places.iter().map(|place| (*place, run(*place)));
    // A key has at least one place.
    let first = run(places[0]);
    let ends = all().filter_map(|(place, run)| match run.end {
        TracedEnd::At(at) => Some((at, place)),
        _ => None,
    });
    let ends: Vec<(Timestamp, (usize, usize))> = ends.collect();
    let begins: Vec<Timestamp> = all().filter_map(|(_, run)| run.begun).collect();
    let count = |is: &dyn Fn(&TracedRun) -> bool| all().filter(|(_, run)| is(run)).count();
    let unknown = [
        (TracedEnd::NoHistory, UnknownEnd::NoHistory),
        (TracedEnd::LongerThanEver, UnknownEnd::LongerThanEver),
    ];
    let unknown = unknown.into_iter().find(|(end, _)| count(&|run| run.end == *end) * 2 > places.len());
    let of_path = if ends.is_empty() {
        all().filter_map(|(place, run)| Some((run.begun?, place))).collect()
    } else {
        ends.clone()
    };
    RunForecast {
        cycle: match &first.key.cycle {
            CycleKey::Label(cycle) => Some(cycle.to_string()),
            CycleKey::Day(_) => None,
        },
        worker: first.worker.name().to_owned(),
        args: first.worker.args.clone(),
        host: first.worker.host.clone(),
        attempt: first.key.attempt,
        number: first.number.map(|number| number.0),
        state: match first.number.and_then(|number| start.state.runs.get(&number)).map(|run| &run.stage) {
            None => OpenState::ToCome,
            Some(Stage::Pending { .. }) => OpenState::Pending,
            Some(_) => OpenState::Running,
        },
        probability: share(begins.len(), traces.len()),
        begin: range(begins),
        ends: share(ends.len(), traces.len()),
        end: range(ends.iter().map(|(at, _)| *at).collect()),
        fails: share(count(&has_failed), traces.len()),
        unknown: unknown.map(|(_, unknown)| unknown),
        blocked_by: all().find_map(|(_, run)| run.blocked_by.clone()),
        path: paths.usual(of_path),
        key: first.key.clone(),
    }
}

fn of_deadline(
    start: &Start,
    deadline: &OpenDeadline,
    index: usize,
    traces: &[Arc<Trace>],
    paths: &Paths<'_>,
) -> ExpectationForecast {
    let at = deadline.at.timestamp();
    let met = traces.iter().enumerate().filter_map(|(future, trace)| Some((future, trace.met[index]?)));
    let met: Vec<_> = met.collect();
    let in_time = met.iter().filter(|(_, met)| met.at <= at).count();
    // A run without history is one in each future. If the message comes in some, it does not depend on it.
    let is_known = |trace: &Trace| {
        trace.met[index].is_some()
            || if met.is_empty() {
                !trace.has_unknown()
            } else {
                !trace.is_endless && trace.failed_rules.is_empty()
            }
    };
    let known = traces.iter().filter(|trace| is_known(trace)).count();
    // A worker that is only started elsewhere, by cron or by hand, is in no future, and that says nothing.
    let is_predicted = !met.is_empty() || start.past.has_run(&deadline.worker);
    let is_known = is_predicted && known > 0 && known * 2 >= traces.len();
    let late = is_known.then(|| share(known - in_time, known));
    let sent = met.iter().filter_map(|(future, met)| Some((met.at, (*future, met.run?))));
    ExpectationForecast {
        worker: deadline.worker.clone(),
        r#type: deadline.r#type.clone(),
        cycle: deadline.cycle.as_ref().map(ToString::to_string),
        deadline: at,
        probability: share(met.len(), traces.len()),
        time: range(met.iter().map(|(_, met)| met.at).collect()),
        late,
        path: paths.usual(sent.collect()),
    }
}

fn failed_rules(traces: &[Arc<Trace>]) -> Vec<FailedRule> {
    let mut found: BTreeMap<&str, (&str, Vec<usize>)> = BTreeMap::new();
    for (future, trace) in traces.iter().enumerate() {
        for (message, reason) in &trace.failed_rules {
            let (_, futures) = found.entry(message).or_insert_with(|| (reason, Vec::new()));
            if futures.last() != Some(&future) {
                futures.push(future);
            }
        }
    }
    let rule = |(message, (reason, futures)): (&str, (&str, Vec<usize>))| FailedRule {
        message: message.to_owned(),
        reason: reason.to_owned(),
        probability: share(futures.len(), traces.len()),
    };
    found.into_iter().map(rule).collect()
}

/// Return the share of some in all, in steps of a thousandth.
fn share(some: usize, all: usize) -> f64 {
    // Counts of draws are far below what a float has exactly.
    #[expect(clippy::cast_precision_loss)]
    let share = some as f64 / all.max(1) as f64;
    (share * 1_000.0).round() / 1_000.0
}
