//! `nowcast rules graph`: who launches whom.

use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;

use super::Which;
use crate::cli::{print, times};
use crate::trial::graph::graph;

/// The rules are called with everything that may come to them, and the journal is asked what happened.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Count what happened not longer ago than that: 2d, 06:00, 2026-03-14
    #[arg(long, value_parser = times::since, default_value = "30d")]
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An indented tree
    Text,
    /// For Graphviz: | dot -Tsvg
    Dot,
    /// For web pages that draw Mermaid
    Mermaid,
    /// For programs
    Json,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (config, engine) = match args.which.load() {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let graph = match graph(&config, &engine, Some(args.since)) {
        Ok(graph) => graph,
        Err(error) => {
            eprintln!("{}", print::clean(&error.to_string()));
            return ExitCode::FAILURE;
        }
    };
    match args.format {
        Format::Text => print::text(&graph.to_text()),
        Format::Dot => print::text(&graph.to_dot()),
        Format::Mermaid => print::text(&graph.to_mermaid()),
        Format::Json => print::json(&graph),
    }
}
