//! Python's logging dictionaries (`logging.config.dictConfig`) as sinks of the `log` crate.
//!
//! A section of a configuration file is read into a plan, the plan becomes a [`Setup`] with open files, and [`install`]
//! puts that in force. A line goes from its [`Logger`], or from a macro of the `log` crate, to the handlers to which
//! Python would send it.
//!
//! This crate never stops the program: lines that cannot be written are counted and reported on stderr. It never opens
//! a ZeroMQ socket: programs that publish their lines provide that with [`OpenPublisher`].

mod active;
mod asctime;
mod attribute;
mod console;
mod early;
mod error;
mod escape;
mod file;
mod format;
mod gather;
mod handler;
mod level;
mod line_head;
mod logger;
mod mail;
mod output;
mod plan;
mod publishing;
mod reading;
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
pub use escape::{escape, escape_line, is_obeyed};
pub use level::Level;
pub use line_head::LineHead;
pub use logger::Logger;
pub use output::{name_program, say};
pub use publishing::{OpenPublisher, Opened, Publisher};
pub use reading::ConfiguredFile;
pub use record::LogRecord;
pub use rotation::{RotateError, RotationStep, rotate};
pub use setup::{Role, Setup};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
