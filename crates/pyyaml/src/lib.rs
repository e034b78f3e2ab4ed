//! YAML exactly as `PyYAML` reads and writes it (YAML 1.1), because every program on the wire, and every file of these
//! programs, uses that dialect.
//!
//! Text becomes a [`Value`] and back. This crate never opens a file.
//!
//! The reader is our own from the first character on. Parsers that follow YAML 1.2 differ from `PyYAML` in what begins
//! a token, ends a line or makes a key, so the same text would be another value, or none, on the other side of the
//! wire. The rules are those of `PyYAML` 6.0.3 (MIT licence), read from its source, and the tests compare every step
//! with the real one.
//!
//! # Where it differs from `PyYAML`
//!
//! - documents that exceed the [`limits`], and integers of more than 4300 digits in base 2, 8 or 16, are refused;
//! - a collection that contains itself through an alias is refused;
//! - escapes of half a surrogate pair are refused, because no text in UTF-8 can contain them;
//! - the pairs of `!!omap` and `!!pairs` are lists of two, because there are no tuples;
//! - explicit `!!int` and `!!float` accept ASCII digits only;
//! - sets keep the order in which they were written;
//! - a mapping whose keys Python can sort only by chance, because one is NaN, is sorted with NaN last.

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
