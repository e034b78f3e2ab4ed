//! Puts edited rules in force: checks them, replaces the files, and waits for the manager's response in its journal.
//!
//! This module never writes to anything but the files of the rules. The manager notices them by itself.

mod exchange;
mod gate;
mod wait;

pub use exchange::{DeployError, RulesExchange};
pub use gate::{Candidate, GateResult, gate};
pub use wait::{DeployOutcome, JournalBefore, wait};
