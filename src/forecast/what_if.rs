//! [`WhatIf`]: what a forecast supposes beside the present.

use jiff::SignedDuration;

/// What is supposed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WhatIf {
    /// Each run of these workers fails, those that already run included.
    pub fail: Vec<SupposedFailure>,
    /// Runs of these workers take longer.
    pub slower: Vec<Slower>,
    /// The hosts on which nothing is launched.
    pub hold: Vec<String>,
}

impl WhatIf {
    /// Return whether nothing is supposed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A worker that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupposedFailure {
    /// The worker.
    pub worker: String,
    /// The message type; `None` for the first failure that the message registry has for the worker, else `crash`.
    pub r#type: Option<String>,
}

/// A worker whose runs take longer.
#[derive(Debug, Clone, PartialEq)]
pub struct Slower {
    /// The worker.
    pub worker: String,
    /// How much longer.
    pub by: Slowness,
}

/// How much longer a run takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slowness {
    /// By a duration.
    Added(SignedDuration),
    /// By a factor.
    Factor(f64),
}

impl Slowness {
    /// Return the changed duration.
    #[must_use]
    pub fn of(self, duration: SignedDuration) -> SignedDuration {
        match self {
            Self::Added(added) => duration.checked_add(added).unwrap_or(SignedDuration::MAX),
            // The factor is checked where it is read.
            Self::Factor(factor) => SignedDuration::try_from_secs_f64(duration.as_secs_f64() * factor)
                .unwrap_or(SignedDuration::MAX),
        }
    }
}
