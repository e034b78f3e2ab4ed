//! What is still to come: the rest of the day, decided ahead of time by the real core and the real rules.
//!
//! The past tells how long runs take and what they report; nothing here is a second engine. The forecast reads. It never launches,
//! writes, or speaks to a manager.
//!
//! [`forecast`] gives the whole; [`Forecast::expected`] is what it says of expectations.

pub mod backtest;
pub mod chance;
pub mod compare;
pub mod dates;
pub mod draw;
pub mod ends;
pub mod futures;
pub mod history;
pub mod known;
pub mod like;
pub mod predictable;
pub mod range;
pub mod score;
pub mod simulate;
pub mod start;
pub mod summary;
pub mod what_if;

use std::time::Duration;

use crate::config::Config;
use crate::store::History;
use nowcast_core::DecisionTime;

pub use backtest::{Backtest, backtest};
pub use compare::Comparison;
pub use futures::Draws;
pub use start::{ForecastError, ForecastRules, Span, Start};
pub use summary::{ExpectationForecast, Forecast, RunForecast, TimeRange};
pub use what_if::{Slower, Slowness, SupposedFailure, WhatIf};

/// What is forecast, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastOptions {
    /// When it begins and ends.
    pub span: Span,
    /// How many futures are drawn.
    pub draws: Draws,
}

impl Default for ForecastOptions {
    /// The next 24 hours in 200 draws, in 10 s at most.
    fn default() -> Self {
        let draws = Draws { count: 200, seed: 0, limit: Some(Duration::from_secs(10)), threads: None };
        Self { span: Span::default(), draws }
    }
}

/// Predict what comes after now from the journal, with these rules. The same journal, rules, time and options give the same forecast, as
/// long as there is time for all draws.
///
/// # Errors
/// The journal cannot be read, the rules cannot be used, or the span is invalid.
pub fn forecast(
    config: &Config,
    history: &History,
    time: &DecisionTime,
    rules: &ForecastRules,
    options: &ForecastOptions,
) -> Result<Forecast, ForecastError> {
    let start = Start::read(config, history, time, options.span)?;
    Forecast::of(&start, rules, &WhatIf::default(), options.draws)
}

/// What is different from the present in a forecast that is compared with it.
#[derive(Debug, Clone, Default)]
pub struct Supposed {
    /// What is supposed.
    pub what_if: WhatIf,
    /// Other rules.
    pub rules: Option<ForecastRules>,
}

/// Predict what comes after now if something is supposed, and compare it with what comes otherwise.
///
/// # Errors
/// See [`forecast`].
pub fn compare(
    config: &Config,
    history: &History,
    time: &DecisionTime,
    rules: &ForecastRules,
    supposed: &Supposed,
    options: &ForecastOptions,
) -> Result<Comparison, ForecastError> {
    let start = Start::read(config, history, time, options.span)?;
    let before = Forecast::of(&start, rules, &WhatIf::default(), options.draws)?;
    let other_rules = supposed.rules.as_ref().unwrap_or(rules);
    let after = Forecast::of(&start, other_rules, &supposed.what_if, options.draws)?;
    Ok(Comparison::new(&before, after))
}
