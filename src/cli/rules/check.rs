//! `nowcast rules check`: what is wrong with rules, before they are in force.

use std::process::ExitCode;

use super::Which;
use crate::cli::print;
use crate::trial::check::check;

/// The exit status is 1 if there are errors, and 2 if the rules cannot be loaded at all.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Only read the rules; call none of them
    #[arg(long)]
    no_run: bool,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (config, engine) = match args.which.load() {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let report = check(&config, &engine, !args.no_run);
    let printed = if args.json { print::json(&report) } else { print::text(&report.to_text()) };
    let is_refused = report.has_errors() || args.strict && !report.problems.is_empty();
    if is_refused { ExitCode::FAILURE } else { printed }
}
