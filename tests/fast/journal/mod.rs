//! The journal: what is kept, what comes back, and what happens when files, disks and processes fail.

mod as_of;
mod clock;
mod configurations;
pub mod day;
mod durability;
mod failures;
mod fixture;
mod histories;
mod pruning;
mod recovery;
