//! Network access: ZeroMQ sockets, the envelopes of requests, and the settings and proxies of HTTP requests.
//!
//! This module never looks into a message and decides nothing.

pub mod broker_state;
pub mod connection_limit;
pub mod curve;
pub mod disconnect;
pub mod envelope;
pub mod http;
pub mod manager_identity;
pub mod monitor;
pub mod port_access;
pub mod proxy;
pub mod rare_line;
pub mod received_bytes;
pub mod redaction;
pub mod socket;
pub mod watch;
pub mod zap;

pub use broker_state::BrokerState;
pub use envelope::Envelope;
pub use manager_identity::ManagerIdentity;
pub use monitor::MonitoredSocket;
pub use watch::ConnectionWatch;
pub use zap::Zap;
