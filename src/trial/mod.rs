//! Rules on trial: what can be known of rules before they are in force.
//!
//! It runs rules as the manager would, on cases that are made up, recorded or told by the user's own tests,
//! with the same engine and the same core. It never launches anything, never speaks to a manager and never
//! writes to the journal.

pub mod deploy;
pub mod eval;
pub mod json;
pub mod live;
pub mod recording;
pub mod replay;
pub mod show;
pub mod test;
