//! The map of `nowcast`, in reading order: follow a message from the worker that sends it to the
//! effects that it has.
//!
//! Only [`perform`](crate) causes effects; only [`cli`](crate) knows every other module;
//! [`core`] imports nothing that could reach the world. `tests/tidy.rs` holds these lines.

pub mod core;
pub mod logging;
pub mod message;
pub mod rules;
pub mod yaml;
