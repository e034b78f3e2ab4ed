//! Shared code of the tests that start other programs.

// Each test file uses what it needs.
#![allow(dead_code, unused_imports)]

pub mod builder;
pub mod clock;
#[cfg(feature = "system-tests")]
pub mod disk;
pub mod node;
pub mod packages;
pub mod past;
pub mod ports;
pub mod processes;
pub mod random;
pub mod servers;
pub mod system;
pub mod wait;

pub use test_venv as python;
