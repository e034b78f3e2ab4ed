//! YAML exactly as PyYAML reads and writes it (YAML 1.1), because that is what every peer on the
//! wire and every file of theirs speaks.
//!
//! Text becomes a [`Value`] and back. This module never opens a file.

pub mod python;
pub mod value;

pub use value::{Date, DateTime, Map, Set, Value};
