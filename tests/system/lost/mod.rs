//! Whatever is killed, cut off or filled up: nothing is lost and nothing is done twice.

mod checklist;
mod deep;
pub mod failpoints;
mod journal;
mod kills;
pub mod load;
mod long;
mod poison;
mod programs;
mod runs;
