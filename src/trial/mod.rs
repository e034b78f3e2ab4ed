//! Trials: rules checked, tested and replayed before they are in force.
//!
//! Trials call rules as the manager would, with the same engine and core, on cases that are generated, recorded or written
//! by the user. They must never launch anything, connect to a manager or write to the journal.

pub mod check;
pub mod clockwork;
pub mod deploy;
pub mod eval;
pub mod graph;
pub mod json;
pub mod live;
pub mod recording;
pub mod replay;
pub mod show;
pub mod test;
