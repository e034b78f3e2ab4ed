//! The view model: what there is to see of a system, gathered from its journal, its control socket and the files by
//! which daemons show that they run. It feeds every surface (status, its JSON, listings). It must never print, and never
//! change anything.
//!
//! Its types are serialised as they are; `docs/operating.md` lists the keys. Each fact has a field of its own, so that no
//! surface takes a text apart.

pub mod attention;
pub mod context;
pub mod daemons;
pub mod failures;
pub mod hint;
pub mod message;
pub mod run;
pub mod system;
pub mod times;
