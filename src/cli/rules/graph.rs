//! `nowcast rules graph`: shows which worker launches which.

use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;

use super::RulesOptions;
use crate::cli::{USAGE, print, times};
use crate::trial::graph::{Graph, graph};
use error_text::did_you_mean;

/// The help text after the options.
const NOTES: &str = "The rules are called with every possible message; the counts are from the journal.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    which: RulesOptions,
    /// Output format, for people or for drawing programs
    #[arg(long, value_enum, default_value_t = GraphFormat::Text, conflicts_with = "json")]
    format: GraphFormat,
    /// Count launches since this time, such as 2d, 06:00 or 2026-03-14
    #[arg(long, value_name = "TIME", value_parser = times::since, default_value = "30d")]
    since: Timestamp,
    /// Show only launches that lead to this worker or follow from it
    #[arg(long, value_name = "WORKER")]
    worker: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// Indented tree
    Text,
    /// Graphviz, as in: nowcast rules graph --format dot | dot -Tsvg
    Dot,
    /// Mermaid
    Mermaid,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (config, engine) = match args.which.load() {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let graph = match graph(&config, &engine, Some(args.since)) {
        Ok(graph) => graph,
        Err(error) => {
            print::error(&error);
            return ExitCode::FAILURE;
        }
    };
    let graph = match &args.worker {
        None => graph,
        Some(worker) => match around(graph, worker) {
            Ok(graph) => graph,
            Err(text) => {
                print::complain(&text);
                return ExitCode::from(USAGE);
            }
        },
    };
    if args.which.common.json {
        return print::json(&graph);
    }
    match args.format {
        GraphFormat::Text => print::text(&graph.to_text()),
        GraphFormat::Dot => print::text(&graph.to_dot()),
        GraphFormat::Mermaid => print::text(&graph.to_mermaid()),
    }
}

/// Return the part of the graph around a worker, or an error for an unknown worker.
fn around(graph: Graph, worker: &str) -> Result<Graph, String> {
    let names: Vec<String> = graph.workers.iter().map(|node| node.name.clone()).collect();
    graph.around(worker).ok_or_else(|| {
        let hint = did_you_mean(worker, &names);
        format!("no worker {worker:?} is registered or launched by these rules{hint}")
    })
}
