//! The decisions: what an event means for the checklist, the replies and the launches.
//!
//! Pure: nothing here opens a socket, a file or a process, reads a clock or makes a random number. The
//! same state, event, rules and time always give the same effects, so a day can be replayed.

pub mod checklist;
pub mod decide;
pub mod effect;
pub mod event;
pub mod joins;
pub mod rules;
pub mod state;

pub use decide::{decide, end_if_idle};
pub use effect::Effect;
pub use event::{Command, Ending, Event, RequestId, RunId, Signal};
pub use rules::{LogLine, NextWorker, RuleAnswer, RuleCall, RuleError, Rules};
pub use state::State;
