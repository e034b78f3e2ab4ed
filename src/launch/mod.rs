//! Launching workers: what command a worker is, and its life as a process.

pub mod argv;
pub mod children;

pub use argv::{LaunchError, argv};
pub use children::{Children, Environment};
