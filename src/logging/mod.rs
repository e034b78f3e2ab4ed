//! Python's `logging` dictionaries (the `logging:` section of nowcast.yaml), on the `log` crate.
//!
//! A section is read into a plan, the plan becomes a [`Setup`] with open files, and [`install`] puts that in
//! force. A line goes from its [`Logger`] through the `log` crate to the handlers that Python would give it
//! to. This module never stops the program: a line that cannot be written is counted and complained of.

mod active;
mod asctime;
mod attribute;
mod console;
mod error;
mod file;
mod format;
mod gather;
mod handler;
pub mod level;
pub mod logger;
mod mail;
mod output;
mod plan;
mod publisher;
mod record;
mod rotation;
mod section;
mod setup;
mod spec;
mod tree;

pub use active::{finish, install};
pub use error::{SetupError, Warning};
pub use gather::gather;
pub use level::Level;
pub use logger::Logger;
pub use rotation::{RotateError, Step, rotate};
pub use setup::{Publishing, Role, Setup};

/// The levels of the handlers that the configuration in force gives to that logger itself, not to its
/// ancestors. The peer writes its checklist to the logger `checklist` once for each, at that level.
#[must_use]
pub fn handlers_of(logger: &str) -> Vec<Level> {
    let tree = active::tree();
    let node = tree.as_ref().and_then(|tree| tree.node(logger));
    node.map(|node| node.handlers.iter().map(|handler| handler.level).collect()).unwrap_or_default()
}
