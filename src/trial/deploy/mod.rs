//! Putting edited rules in force: what must be passed before, how the files are exchanged, and what the manager
//! makes of them.
//!
//! It writes to the files of the rules alone. The manager notices them by itself; that they are in force is read in
//! its journal.

mod exchange;
mod gate;
mod wait;

pub use exchange::{DeployError, RulesExchange};
pub use gate::{Candidate, GateResult, gate};
pub use wait::{DeployOutcome, JournalBefore, wait};
