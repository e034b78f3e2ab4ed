//! The core's decisions, without a socket, a file or a process: events in, effects out.

mod at_risk;
mod cancelled;
mod clock;
mod commands;
mod cycles;
mod expected;
mod holds;
mod identified_joins;
mod joins;
mod messages;
mod notes;
mod notices;
mod parked;
mod restored;
mod rewind;
mod runs;
mod slots;
pub mod story;
mod system;
mod timers;
