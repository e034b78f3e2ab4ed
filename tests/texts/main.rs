//! The texts that people and programs read, kept as snapshots in `snapshots/`: a changed word is a visible diff.
//!
//! `INSTA_UPDATE=always cargo test --test texts` writes the snapshots; read their diff before committing it.

mod help;
mod program;
