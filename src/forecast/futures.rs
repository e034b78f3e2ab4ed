//! Simulates all draws of a forecast, in as many threads as there are cores. The result does not depend on their number. Futures that are
//! the same are simulated once.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::draw::Odds;
use super::history::SentMessages;
use super::known::KnownFutures;
use super::simulate::{Simulated, Simulation, Trace};
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
) -> Result<Vec<Arc<Trace>>, ForecastError> {
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
) -> Result<Vec<Arc<Trace>>, ForecastError> {
    let begun = Instant::now();
    let has_failed = AtomicBool::new(false);
    let is_over = || {
        let is_late = draws.limit.is_some_and(|limit| begun.elapsed() > limit);
        is_late || has_failed.load(Ordering::Relaxed)
    };
    let known = Mutex::new(KnownFutures::default());
    let next = AtomicU32::new(0);
    let share = || -> Result<Vec<(u32, Arc<Trace>)>, ForecastError> {
        let engine = rules.load()?;
        let sent = SentMessages::new(History::open(&start.journal)?);
        let mut simulation = Simulation::new(start, odds, what_if, &engine, sent);
        let mut traces = Vec::new();
        loop {
            let draw = next.fetch_add(1, Ordering::Relaxed);
            if draw >= draws.count || is_over() {
                return Ok(traces);
            }
            if let Some(trace) = locked(&known).find(odds.chance(draw)) {
                traces.push((draw, trace));
                continue;
            }
            let Some(Simulated { trace, chosen }) = simulation.run(draw, &is_over)? else {
                return Ok(traces);
            };
            let trace = Arc::new(trace);
            locked(&known).add(&chosen, trace.clone());
            traces.push((draw, trace));
        }
    };
    let share = || {
        let traces = share();
        // The others need not go on.
        has_failed.fetch_or(traces.is_err(), Ordering::Relaxed);
        traces
    };
    let threads = draws.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let threads = threads.min(usize::try_from(draws.count).unwrap_or(usize::MAX));
    let shares = thread::scope(|scope| {
        // Where the system has no more threads, fewer simulate.
        let other = |_| thread::Builder::new().spawn_scoped(scope, share).ok();
        let others: Vec<_> = (1..threads).filter_map(other).collect();
        let mut shares = vec![share()];
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
    traces.sort_by_key(|(draw, _)| *draw);
    // Without gaps, so that a forecast that was cut short is one of fewer draws.
    let complete = (0..).zip(traces).take_while(|(position, (draw, _))| position == draw);
    Ok(complete.map(|(_, (_, trace))| trace).collect())
}

fn locked(known: &Mutex<KnownFutures>) -> MutexGuard<'_, KnownFutures> {
    // It is never left half changed.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
