//! Network access: ZeroMQ sockets, the envelopes of requests, and the settings and proxies of HTTP requests.
//!
//! This module never looks into a message and decides nothing.

pub mod envelope;
pub mod http;
pub mod monitor;
pub mod proxy;
pub mod socket;

pub use envelope::Envelope;
pub use monitor::Monitor;
