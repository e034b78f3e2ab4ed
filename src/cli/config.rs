//! `nowcast config`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, USAGE, print};
use crate::config::{self, Problem, Severity};
use crate::logging::{Role, Setup};
use crate::rules;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Check the configuration file: every problem with its line and what to do about it
    Check(ConfigFile),
}

pub(super) fn run(args: &Args) -> ExitCode {
    let Action::Check(ConfigFile { file }) = &args.action;
    let (config, problems) = match config::load(file) {
        Ok(loaded) => loaded,
        Err(error) => {
            print::text(&lines_of(&error.problems));
            return ExitCode::from(USAGE);
        }
    };
    let mut text = lines_of(&problems);
    let mut status = ExitCode::SUCCESS;
    match Setup::from_value(&config.logging, Role::Daemon) {
        Ok((_, warnings)) => {
            for warning in warnings {
                let _ = writeln!(text, "warning: {}: {warning}", file.display());
            }
        }
        Err(error) => {
            let _ = writeln!(text, "error: {}: {error}", file.display());
            status = ExitCode::from(USAGE);
        }
    }
    if let Err(error) = rules::locate(file, &config.registry.next_workers_module) {
        let file = file.display();
        let _ = writeln!(text, "error: {file}, message registry: next workers module: {error}");
        status = ExitCode::from(USAGE);
    }
    if status == ExitCode::SUCCESS {
        let count = config.registry.workers.len();
        let _ = writeln!(text, "{} is fine: {count} workers registered", file.display());
    }
    let printed = print::text(&text);
    if status == ExitCode::SUCCESS { printed } else { status }
}

fn lines_of(problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        format!("{severity}: {problem}\n")
    };
    problems.iter().map(line).collect()
}
