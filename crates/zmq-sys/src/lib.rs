//! Declarations of `libzmq` 4.3.5, as far as the crate `zmq` uses them, under their C names.
//!
//! It stands for the crate of the same name, which builds a `libzmq` without CURVE and with timeouts from the wall clock.
//! This crate never has code of its own: its declarations are those of `zmq.h`.

#![allow(non_camel_case_types)]

mod constants;
pub mod errno;
mod functions;

pub use std::os::fd::RawFd;

pub use constants::*;
pub use functions::*;
