//! The network: ZeroMQ sockets, the worker's client, and the signals that a loop waits for beside them; and what the rooms
//! that speak with web servers have in common.
//!
//! Nothing here decides anything or looks into a message.

pub mod call;
pub mod client;
pub mod control;
pub mod envelope;
pub mod http;
pub mod monitor;
pub mod proxy;
pub mod signals;
pub mod socket;

pub use crate::core::Ticket;
pub use call::{Call, CallError};
pub use client::{Client, ClientError, Delay};
pub use control::Control;
pub use envelope::Envelope;
pub use monitor::Monitor;
pub use signals::Signals;
