//! The view model: the visible state of a system, gathered from its journal, its control socket and the files by which
//! daemons show that they run. It serves every surface (status, its JSON, listings). It never prints, and never changes
//! anything.
//!
//! Its types are serialised as they are; `docs/operating.md` lists the keys. Each fact has its own field, so that no
//! surface has to parse a text.

pub mod attention;
pub mod context;
pub mod cycle;
pub mod cycle_tree;
pub mod daemons;
pub mod expected;
pub mod failures;
pub mod hint;
pub mod message;
pub mod output;
pub mod rewind;
pub mod run;
mod slow;
pub mod system;
pub mod times;
