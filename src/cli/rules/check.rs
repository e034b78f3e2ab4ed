//! `nowcast rules check`: finds errors in rules before they are in force.

use std::process::ExitCode;

use super::RulesOptions;
use crate::cli::{USAGE, print};
use crate::rules::RuleSet;
use crate::trial::check;

/// The help text after the options.
const NOTES: &str = "Exit status: 0 if there are no errors, 1 if there are, 2 if the configuration is invalid or there \
    are no rules.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    which: RulesOptions,
    /// Read the rules without calling them
    #[arg(long)]
    no_run: bool,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.which.common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let (set, edited) = (RuleSet::of(&config), args.which.rules.as_deref());
    let report = match set.load(edited) {
        Ok(engine) => check::check(&config, &engine, !args.no_run),
        // Without a file there is nothing to check; a file that is not text has a line to show.
        Err(error) if error.line.is_none() && set.text(edited, None).is_err() => {
            print::complain(&format!("cannot load the rules:\n{error}"));
            return ExitCode::from(USAGE);
        }
        Err(error) => check::unloadable(&config, edited, &error),
    };
    let printed = if args.which.common.json { print::json(&report) } else { print::text(&report.to_text()) };
    let is_refused = report.has_errors() || args.strict && !report.problems.is_empty();
    if is_refused { ExitCode::FAILURE } else { printed }
}
