//! Distributed logging: what programs publish, and the aggregator that logs it, beside the real pyzmq and a real mail
//! server.

mod aggregator;
mod log_access;
mod mail;
mod publishers;
mod scene;
#[cfg(feature = "system-tests")]
mod three_machines;
mod whole_system;
