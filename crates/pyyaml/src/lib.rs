//! YAML exactly as `PyYAML` reads and writes it (YAML 1.1), because that is what every program on the
//! wire and every file of theirs speaks.
//!
//! Text becomes a [`Value`] and back. This module never opens a file.
//!
//! The reader is our own from the first character on. Parsers that follow YAML 1.2 differ from `PyYAML` in
//! what begins a token, ends a line or makes a key, so that the same text would be another value, or none,
//! on the other side of the wire. The rules are those of `PyYAML` 6.0.3 (MIT licence), read from its source,
//! and the tests hold every step against the real one.
//!
//! # Where it differs from `PyYAML`
//!
//! - the limits of [`limits`], and integers of more than 4300 digits in base 2, 8 or 16;
//! - a collection that contains itself through an alias is refused;
//! - escapes of half a surrogate pair are refused: no text in UTF-8 can hold them;
//! - the pairs of `!!omap` and `!!pairs` are lists of two: there are no tuples;
//! - explicit `!!int` and `!!float` know ASCII digits only;
//! - sets keep the order in which they were written;
//! - a mapping whose keys Python can sort only by chance, because one is NaN, is sorted with it last.

pub mod base64;
pub mod python;
mod read;
mod resolve;
mod tag;
mod timestamp;
pub mod value;
mod write;

pub use read::{Mark, Marks, ReadError, RepeatedKey, limits, read, read_bytes, read_marked, read_own};
pub use value::{Date, DateTime, Map, Set, Value};
pub use write::{Keys, write};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
