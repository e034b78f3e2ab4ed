//! Simulates all draws of a forecast, in as many threads as there are cores. The result does not depend on their number.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::draw::Odds;
use super::history::SentMessages;
use super::simulate::{Simulation, Trace};
use super::start::{ForecastError, ForecastRules, Start};
use super::what_if::WhatIf;
use crate::store::History;

/// How many futures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    /// How many.
    pub count: u32,
    /// What their random numbers begin with.
    pub seed: u64,
    /// How long they may take; `None` for as long as they do.
    pub limit: Option<Duration>,
    /// How many threads simulate; `None` for as many as there are cores.
    pub threads: Option<NonZero<usize>>,
}

/// Simulate the draws. There are fewer of them if there is no time left.
///
/// # Errors
/// The journal cannot be read, or the rules cannot be used any more.
pub fn simulate(
    start: &Start,
    rules: &ForecastRules,
    what_if: &WhatIf,
    draws: Draws,
) -> Result<Vec<Trace>, ForecastError> {
    let odds = Odds::new(&start.past, &start.running, draws.seed, start.begin.timestamp(), start.today);
    simulate_by(start, &odds, rules, what_if, draws)
}

/// Simulate the draws by these odds. There are fewer of them if there is no time left.
///
/// # Errors
/// The journal cannot be read, or the rules cannot be used any more.
pub fn simulate_by(
    start: &Start,
    odds: &Odds<'_>,
    rules: &ForecastRules,
    what_if: &WhatIf,
    draws: Draws,
) -> Result<Vec<Trace>, ForecastError> {
    let begun = Instant::now();
    let has_failed = AtomicBool::new(false);
    let is_over = || {
        let is_late = draws.limit.is_some_and(|limit| begun.elapsed() > limit);
        is_late || has_failed.load(Ordering::Relaxed)
    };
    let cores =
        draws.threads.map_or_else(|| thread::available_parallelism().map_or(1, NonZero::get), NonZero::get);
    let count = usize::try_from(draws.count).unwrap_or(usize::MAX);
    let threads = cores.clamp(1, count.max(1));
    let share = |thread: usize| -> Result<Vec<(usize, Trace)>, ForecastError> {
        let engine = rules.load()?;
        let sent = SentMessages::new(History::open(&start.journal)?);
        let mut simulation = Simulation::new(start, odds, what_if, &engine, sent);
        let mut traces = Vec::new();
        for (index, draw) in (0..count).zip(0..draws.count).skip(thread).step_by(threads) {
            match simulation.run(draw, &is_over)? {
                Some(trace) => traces.push((index, trace)),
                None => break,
            }
        }
        Ok(traces)
    };
    let share = |thread| {
        let traces = share(thread);
        // The others need not go on.
        has_failed.fetch_or(traces.is_err(), Ordering::Relaxed);
        traces
    };
    let shares = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        let mut shares = vec![share(0)];
        for other in others {
            match other.join() {
                Ok(share) => shares.push(share),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        shares
    });
    let mut traces = Vec::new();
    for share in shares {
        traces.extend(share?);
    }
    traces.sort_by_key(|(index, _)| *index);
    // Without gaps, so that a forecast that was cut short is one of fewer draws.
    let complete = traces.into_iter().enumerate().take_while(|(position, (index, _))| position == index);
    Ok(complete.map(|(_, (_, trace))| trace).collect())
}
