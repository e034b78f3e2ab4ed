//! `nowcast doctor`: whether everything that a system needs is there, and what to do where it is not.

mod hosts;
mod local;
mod log_ports;
mod ports;
mod probe;

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use super::operate::Common;
use super::table::Table;
use super::{bounded, print};
use crate::config;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = "Exit status: 0 when nothing failed, 1 when something did.")]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Check the hosts of workers, too
    #[arg(long)]
    hosts: bool,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// All is well.
    Ok,
    /// It works, but somebody should look.
    Warning,
    /// Something will not work.
    Failed,
}

/// One check. Its keys are those of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// `local`, or the host.
    place: String,
    check: String,
    state: State,
    /// What was found.
    text: String,
    /// What to do.
    help: Option<String>,
}

impl Check {
    fn ok(check: &str, text: impl Into<String>) -> Self {
        let (place, check) = ("local".to_owned(), check.to_owned());
        Self { place, check, state: State::Ok, text: text.into(), help: None }
    }

    fn warning(check: &str, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { state: State::Warning, help: Some(help.into()), ..Self::ok(check, text) }
    }

    fn failed(check: &str, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { state: State::Failed, help: Some(help.into()), ..Self::ok(check, text) }
    }

    /// The same about another place.
    fn on(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    let file = &args.common.config.path();
    let mut checks = Vec::new();
    match config::load(file) {
        Err(error) => {
            let help = "repair it; nowcast config check says more";
            checks.push(Check::failed("configuration", error.to_string(), help));
        }
        Ok((config, problems)) => {
            checks.push(local::configuration(&config, &problems));
            checks.extend(local::checks(&config));
            if args.hosts {
                checks.extend(hosts::checks(&config));
                checks.extend(log_ports::checks(&config));
            }
        }
    }
    let printed = if args.common.json { print::json(&checks) } else { print::text(&to_text(&checks)) };
    let has_failed = checks.iter().any(|check| check.state == State::Failed);
    if has_failed { ExitCode::FAILURE } else { printed }
}

fn to_text(checks: &[Check]) -> String {
    let mut table = Table::indented(0);
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Failed => "FAILED",
        };
        table.row([state.to_owned(), check.place.clone(), check.check.clone(), check.text.clone()]);
    }
    let mut text = String::new();
    for (line, check) in table.to_string().lines().zip(checks) {
        let _ = writeln!(text, "{line}");
        if let Some(help) = &check.help {
            let _ = writeln!(text, "        → {help}");
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (failed, warnings) = (count(State::Failed), count(State::Warning));
    format!("{text}{} checks, {failed} failed, {warnings} warnings\n", checks.len())
}
