//! `nowcast doctor`: checks what the system needs, and says how to provide what is missing. It never changes anything.

mod hosts;
mod local;
mod log_ports;
mod ports;
mod probe;

use std::process::ExitCode;

use serde::Serialize;

use super::operate::CommonOptions;
use super::table::{Cell, Table};
use super::terminal::{Terminal, Tone};
use super::{bounded, print};
use crate::config;
use nowcast_core::counted::counted;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = "Exit status: 0 if no check failed, 1 if one did.")]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Also check the hosts of workers
    #[arg(long)]
    hosts: bool,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckState {
    /// The check passed.
    Ok,
    /// The system works, but an operator should look at it.
    Warning,
    /// A part of the system will not work.
    Failed,
}

/// One check. Its keys are those of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct DoctorCheck {
    /// `local`, or the host.
    place: String,
    check: String,
    state: CheckState,
    /// The finding.
    text: String,
    /// The remedy.
    help: Option<String>,
}

impl DoctorCheck {
    fn ok(check: &str, text: impl Into<String>) -> Self {
        let (place, check) = ("local".to_owned(), check.to_owned());
        Self { place, check, state: CheckState::Ok, text: text.into(), help: None }
    }

    fn warning(check: &str, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { state: CheckState::Warning, help: Some(help.into()), ..Self::ok(check, text) }
    }

    fn failed(check: &str, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { state: CheckState::Failed, help: Some(help.into()), ..Self::ok(check, text) }
    }

    /// Return the check for another host.
    fn on(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    let file = &args.common.config.path();
    let mut checks = Vec::new();
    match config::load(file) {
        Err(error) => {
            let help = "repair it; \"nowcast config check\" shows more";
            checks.push(DoctorCheck::failed("configuration", error.to_string(), help));
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
    let printed = if args.common.json {
        print::json(&checks)
    } else {
        print::lines(&to_text(&checks, &Terminal::of_stdout()))
    };
    let has_failed = checks.iter().any(|check| check.state == CheckState::Failed);
    if has_failed { ExitCode::FAILURE } else { printed }
}

fn to_text(checks: &[DoctorCheck], terminal: &Terminal) -> Vec<String> {
    let mut table = Table::indented(0);
    for check in checks {
        let (state, tone) = match check.state {
            CheckState::Ok => ("ok", Tone::Good),
            CheckState::Warning => ("warning", Tone::Warning),
            CheckState::Failed => ("FAILED", Tone::Bad),
        };
        table.row([
            Cell::new(state, tone),
            check.place.clone().into(),
            check.check.clone().into(),
            check.text.lines().next().unwrap_or_default().into(),
        ]);
    }
    let mut lines = Vec::new();
    for (line, check) in table.lines(terminal).into_iter().zip(checks) {
        lines.push(line);
        for line in check.text.lines().skip(1) {
            lines.extend(terminal.wrap(&format!("        {line}"), 10));
        }
        let help = check.help.as_ref().map(|help| terminal.wrap(&format!("        → {help}"), 10));
        lines.extend(help.into_iter().flatten());
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    lines.push(format!(
        "{}, {} failed, {}",
        counted(checks.len(), "check", "checks"),
        count(CheckState::Failed),
        counted(count(CheckState::Warning), "warning", "warnings")
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_is_counted_in_the_singular() {
        let check = || DoctorCheck::ok("clock", "is right".to_owned());
        let last = |checks: &[DoctorCheck]| to_text(checks, &Terminal::plain()).pop();
        assert_eq!(last(&[check()]).as_deref(), Some("1 check, 0 failed, 0 warnings"));
        assert_eq!(last(&[check(), check()]).as_deref(), Some("2 checks, 0 failed, 0 warnings"));
    }
}
