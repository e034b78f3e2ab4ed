//! The network: ZeroMQ sockets and the envelopes of requests; proxies and limits for HTTP.
//!
//! It never looks into a message and decides nothing.

pub mod envelope;
pub mod http;
pub mod monitor;
pub mod proxy;
pub mod socket;

pub use envelope::Envelope;
pub use monitor::Monitor;
