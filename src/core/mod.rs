//! The decisions: what a message means for the checklist, the replies and the launches.
//!
//! Pure: nothing here opens a socket, a file or a process, reads a clock or makes a random number.

pub mod rules;

pub use rules::{LogLine, NextWorker, RuleAnswer, RuleCall, RuleError, Rules};
