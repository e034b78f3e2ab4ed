//! `nowcast config`

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, USAGE};
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
            show(&error.problems);
            return ExitCode::from(USAGE);
        }
    };
    show(&problems);
    let mut status = ExitCode::SUCCESS;
    match Setup::from_value(&config.logging, Role::Daemon) {
        Ok((_, warnings)) => {
            for warning in warnings {
                println!("warning: {}: {warning}", file.display());
            }
        }
        Err(error) => {
            println!("error: {}: {error}", file.display());
            status = ExitCode::from(USAGE);
        }
    }
    if let Err(error) = rules::locate(file, &config.registry.next_workers_module) {
        println!("error: {}, message registry: next workers module: {error}", file.display());
        status = ExitCode::from(USAGE);
    }
    if status == ExitCode::SUCCESS {
        println!("{} is fine: {} workers registered", file.display(), config.registry.workers.len());
    }
    status
}

fn show(problems: &[Problem]) {
    for problem in problems {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        println!("{severity}: {problem}");
    }
}
