//! The texts that people and programs read, kept as snapshots in `snapshots/`: a changed word is a visible diff.
//!
//! `INSTA_UPDATE=always cargo test --test texts` writes the snapshots; read their diff before committing it.

mod contract;
mod daemons;
mod doctor;
mod errors;
mod forecast;
mod help;
mod journal;
mod keys;
mod listings;
mod logs;
mod operators;
mod program;
mod recorded;
mod rules;
mod scenes;
mod status;
mod why;

#[path = "../support/mod.rs"]
mod support;
