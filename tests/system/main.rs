//! The real binaries, put together to whole systems, with real counterparts.

#[path = "../support/mod.rs"]
mod support;

mod bad_checklists;
mod bad_messages;
mod bad_rules;
mod configuration;
mod ends;
mod joins;
mod launches;
mod operators;
mod peers;
mod redelivery;
mod reload;
mod signals;
mod supervisor;
mod timers;
mod toy_system;
mod workers;
