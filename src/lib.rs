//! The map of `nowcast`, in reading order: follow a message from the worker that sends it to what
//! comes of it.
//!
//! [`core`] decides and imports nothing that could reach the world; only [`perform`] carries out
//! what it decides; only [`cli`] knows every other module. `tests/tidy.rs` holds these lines.

pub mod broker; // who carries it: from workers to the manager and back
pub mod core; // what it means: events to effects, pure
pub mod launch; // workers as commands and processes
pub mod manager; // who receives it: wait, decide, perform
pub mod message; // what travels: source, type, payload
pub mod net; // how it travels: sockets, envelopes, the worker's client
pub mod perform; // what comes of it: the one executor of effects
pub mod rules; // what the user's Lua makes of it
pub mod store;
pub mod worker; // who sends it: the harness and the built-in workers // what is kept on disk

pub mod cli;
pub mod config; // nowcast.yaml, read raw, then checked
pub mod logging; // Python's logging dictionaries
pub mod supervise; // `nowcast up`
pub mod yaml; // values, exactly as PyYAML reads and writes them // the command line
