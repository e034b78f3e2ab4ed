//! Python's `logging` dictionaries (the `logging:` section of nowcast.yaml), on the `log` crate.
//!
//! A section is read into a plan, the plan becomes a [`Setup`] with open files, and [`install`] puts that in
//! force. A line goes from its [`Logger`] through the `log` crate to the handlers that Python would give it
//! to. This module never stops the program: a line that cannot be written is counted and complained of.

mod active;
mod asctime;
mod attribute;
mod console;
mod early;
mod error;
mod file;
mod format;
mod gather;
mod handler;
mod level;
mod logger;
mod mail;
mod output;
mod plan;
mod publishing;
mod record;
mod rotation;
mod section;
mod setup;
pub mod smtp;
mod spec;
mod tree;

pub use active::{finish, gather, handlers_of, install};
pub use early::show_on_stderr;
pub use error::{SetupError, Warning};
pub use level::Level;
pub use logger::Logger;
pub use output::{name_program, say};
pub use publishing::{OpenPublisher, Opened, Publisher};
pub use record::LogRecord;
pub use rotation::{RotateError, Step, rotate};
pub use setup::{Role, Setup};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
