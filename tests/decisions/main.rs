//! The core's decisions, without a socket, a file or a process: events in, effects out.

mod commands;
mod holds;
mod joins;
mod messages;
mod parked;
mod runs;
mod story;
mod system;
mod timers;
