//! The common part of the commands that ask `nowcast up`: the request, and what to do without one. It never decides anything.

use std::process::ExitCode;
use std::time::Duration;

use super::operate::{CommonOptions, user};
use super::print;
use super::started_by::StartedBy;
use crate::config::Config;
use crate::control::Call;
use crate::control::call::HEALTH_TIMEOUT;
use crate::supervise::request::{DaemonResult, UpAnswer, UpCommand, UpError, ask};

/// Send a command to the `nowcast up` of a system. If it does not answer, print why and what to do; return the exit status.
pub(super) fn request(command: UpCommand, config: &Config, timeout: Duration) -> Result<UpAnswer, ExitCode> {
    let hint = StartedBy::find(&config.journal.folder).instead_of(&command);
    send(Some(command), &hint, config, timeout)
}

/// Check that a later [`request`] can reach `nowcast up`; print the same if it cannot.
pub(super) fn check(command: &UpCommand, config: &Config) -> Result<(), ExitCode> {
    let hint = StartedBy::find(&config.journal.folder).instead_of(command);
    send(None, &hint, config, HEALTH_TIMEOUT).map(|_| ())
}

fn send(
    command: Option<UpCommand>,
    hint: &str,
    config: &Config,
    timeout: Duration,
) -> Result<UpAnswer, ExitCode> {
    let call = Call { user: user(), command };
    ask(&config.journal.folder, &call, timeout).map_err(|error| {
        print::complain(&match error {
            UpError::NotRunning { .. } => format!("{error}; {hint}"),
            error => error.to_string(),
        });
        ExitCode::FAILURE
    })
}

/// Print what was done with each daemon.
pub(super) fn show(answer: &UpAnswer, options: &CommonOptions) -> ExitCode {
    if options.json {
        return exit(answer.done, print::json(answer));
    }
    if !answer.text.is_empty() {
        print::complain(&answer.text);
    }
    let (done, failed): (Vec<_>, Vec<_>) = grouped(&answer.daemons).into_iter().partition(|group| group.done);
    let text = |group: &Group| format!("{}: {}", group.names.join(", "), group.text);
    for group in &failed {
        print::complain(&text(group));
    }
    let done: String = done.iter().map(|group| text(group) + "\n").collect();
    exit(answer.done, print::text(&done))
}

pub(super) fn exit(done: bool, printed: ExitCode) -> ExitCode {
    if done { printed } else { ExitCode::FAILURE }
}

/// Daemons with the same result, such as a configuration that all of them refuse.
struct Group<'a> {
    names: Vec<&'a str>,
    done: bool,
    text: &'a str,
}

fn grouped(daemons: &[DaemonResult]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    for DaemonResult { name, done, text, .. } in daemons {
        match groups.iter_mut().find(|group| group.done == *done && group.text == text) {
            Some(group) => group.names.push(name),
            None => groups.push(Group { names: vec![name], done: *done, text }),
        }
    }
    groups
}
