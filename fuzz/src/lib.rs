//! The functions behind the fuzz targets: each takes any bytes, and panics only for a bug.
//!
//! `tests/fast/fuzzing.rs` includes this file, and calls each function with the inputs that fuzzing has collected in
//! `corpus`. So these functions depend on their input alone, and never on its order or on earlier ones.

pub mod broker;
pub mod configuration;
pub mod control;
mod input;
pub mod journal;
pub mod log;
pub mod message;
pub mod rules;
mod system;
pub mod views;
pub mod yaml;
pub mod yaml_meaning;

/// A fuzz target: its name, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// The fuzz targets, by the names of their programs and corpora.
pub const TARGETS: [Target; 10] = [
    ("broker", broker::check),
    ("configuration", configuration::check),
    ("control", control::check),
    ("journal", journal::check),
    ("log", log::check),
    ("message", message::check),
    ("rules", rules::check),
    ("views", views::check),
    ("yaml", yaml::check),
    ("yaml_meaning", yaml_meaning::check),
];
