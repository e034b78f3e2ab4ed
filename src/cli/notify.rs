//! `nowcast notify test`: sends a notification to targets of the configuration, so that one is not found broken at the first alarm. It never
//! needs the manager.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use jiff::ZonedDateTime;
use serde::Serialize;

use super::operate::CommonOptions;
use super::{USAGE, print};
use crate::config::{self, Problem, Severity};
use crate::notify::test_notification::TestNotification;
use error_text::did_you_mean;

/// The sections that have targets.
const SECTIONS: [&str; 2] = ["notifications", "slack notifications"];

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum NotifyCommand {
    /// Send a test notification to targets, and show the answers
    Test(TestArgs),
}

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct TestArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Names of targets in "notifications", or variables in "slack notifications"
    #[arg(value_name = "TARGET", required_unless_present = "all", conflicts_with = "all")]
    targets: Vec<String>,
    /// Test every target
    #[arg(long)]
    all: bool,
    /// Only show what would be sent
    #[arg(long)]
    dry_run: bool,
}

/// The result for a target. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct TestResult<'a> {
    target: &'a str,
    kind: String,
    subject: &'a str,
    body: &'a str,
    sent: bool,
    answer: Option<String>,
    error: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let NotifyCommand::Test(args) = &args.command;
    let (notifications, unusable) = match selected(args) {
        Ok(notifications) => notifications,
        Err(error) => {
            print::error(error.as_ref());
            return ExitCode::from(USAGE);
        }
    };
    let mut results = Vec::new();
    for notification in &notifications {
        let sent = if args.dry_run { None } else { Some(notification.send()) };
        let result = TestResult {
            target: notification.target(),
            kind: notification.kind(),
            subject: notification.subject(),
            body: notification.body(),
            sent: matches!(sent, Some(Ok(_))),
            answer: sent.as_ref().and_then(|sent| sent.as_ref().ok()).cloned(),
            error: sent.and_then(Result::err).map(|error| error.to_string()),
        };
        if !args.common.json {
            show(&result);
        }
        results.push(result);
    }
    if args.common.json {
        print::json(&results);
    }
    for problem in &unusable {
        print::complain(&problem.to_string());
    }
    let has_failed = results.iter().any(|result| result.error.is_some());
    if has_failed || !unusable.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Return the notifications for the targets that the command line names.
///
/// With `--all`, also the problems of targets that cannot be used.
fn selected(args: &TestArgs) -> anyhow::Result<(Vec<TestNotification>, Vec<Problem>)> {
    let (config, problems) = config::load(&args.common.config.path())?;
    let mut all = TestNotification::for_all(&config.notifications, &ZonedDateTime::now());
    if args.all {
        if all.is_empty() {
            bail!(
                "the configuration has no target that can be used in `notifications:` or `slack notifications:`"
            );
        }
        let is_unusable = |problem: &Problem| {
            problem.severity > Severity::Note
                && SECTIONS.iter().any(|section| problem.key.starts_with(section))
        };
        return Ok((all, problems.into_iter().filter(is_unusable).collect()));
    }
    let mut selected: Vec<TestNotification> = Vec::new();
    for name in &args.targets {
        if selected.iter().any(|notification| notification.target() == name) {
            continue;
        }
        if let Some(found) = all.iter().position(|notification| notification.target() == name) {
            selected.push(all.remove(found));
            continue;
        }
        let key = format!("notifications: {name}");
        let is_its = |other: &str| other == key || other.starts_with(&format!("{key}: "));
        if let Some(problem) = problems.iter().find(|problem| is_its(&problem.key)) {
            bail!("{problem}");
        }
        let known: Vec<&str> = all.iter().map(TestNotification::target).collect();
        let close = did_you_mean(name, &known);
        bail!("the configuration has no target {name:?}{close}; there are: {}", known.join(", "));
    }
    Ok((selected, Vec::new()))
}

fn show(result: &TestResult) {
    let mut text = format!("{}: {}\n", result.target, result.kind);
    // Writing to a String cannot fail.
    for line in [result.subject].into_iter().filter(|subject| !subject.is_empty()).chain(result.body.lines())
    {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(answer) = &result.answer {
        let _ = writeln!(text, "sent: {answer}");
    }
    print::text(&text);
    if let Some(error) = &result.error {
        print::complain(&format!("{} was not notified: {error}", result.target));
    }
}
