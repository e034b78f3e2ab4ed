//! Distributed logging: what programs publish, and the aggregator that logs it, beside the real pyzmq and a real mail
//! server.

mod aggregator;
mod log_access;
mod mail;
mod publishers;
mod scene;
mod whole_system;
