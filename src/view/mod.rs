//! The view model: what there is to see of a system, gathered from its journal, its control socket and the files by
//! which daemons show that they run. It feeds every surface (status, its JSON, listings) and renders nothing.
//!
//! Its types are serialised as they are; `docs/operating.md` lists the keys. What a surface would otherwise take out of
//! a text stands in a field of its own.

pub mod attention;
pub mod context;
pub mod daemons;
pub mod failures;
pub mod hint;
pub mod message;
pub mod run;
pub mod system;
pub mod times;
