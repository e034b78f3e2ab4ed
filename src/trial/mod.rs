//! Rules on trial: what can be known of rules before they are in force.
//!
//! It runs rules as the manager would, on cases that are made up, recorded or told by the user's own tests,
//! with the same engine and the same core. It never launches anything, never speaks to a manager and never
//! writes to the journal.

/// Putting edited rules in force.
pub mod deploy;
/// Calls of rules by a program: one case in, one answer out.
pub mod eval;
/// A broker's recording, decided by rules on trial.
pub mod recording;
/// The messages of the past through other rules.
pub mod replay;
