//! The common part of operators' commands: options, the request to the manager, and its answer.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Once;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use uzers::{get_current_uid, get_user_by_uid};

use super::config_file::ConfigFile;
use super::{USAGE, print, times};
use crate::config::{self, Config, duration};
use crate::control::call::{TIMEOUT, call_within};
use crate::control::{Call, CallError};
use crate::version;
use crate::view::daemons::unreachable_manager;
use crate::worker::built_in;
use error_text::did_you_mean;
use nowcast_core::{Answer, Command, NextWorker, Number};

/// The options of every operator's command.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct CommonOptions {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl CommonOptions {
    /// Read the configuration. If it is invalid, print why and return the exit status.
    pub(super) fn load(&self) -> Result<Config, ExitCode> {
        load(&self.config.path())
    }

    /// Read the configuration.
    pub(super) fn read(&self) -> Result<Config, config::ConfigError> {
        read(&self.config.path())
    }

    /// Send a command to the manager and print its answer. The exit status is 0 if the manager did it.
    pub(super) fn ask(&self, command: Command) -> ExitCode {
        self.load()
            .and_then(|config| Self::call(command, &config))
            .map_or_else(|status| status, |answer| self.show(&answer))
    }

    /// Send a command to the manager and return its answer. If it cannot answer, print why and return the exit status.
    pub(super) fn call(command: Command, config: &Config) -> Result<Answer, ExitCode> {
        let call = Call { user: user(), command: Some(command) };
        let response = call_within(&config.journal.folder, &call, TIMEOUT).map_err(|error| {
            let running = matches!(error, CallError::NoManager { .. })
                .then(|| unreachable_manager(&config.journal.folder))
                .flatten();
            print::complain(&running.unwrap_or_else(|| error.to_string()));
            ExitCode::FAILURE
        })?;
        if let Some(difference) = version::difference(response.version.as_deref()) {
            // A command for many numbers says it once.
            static SAID: Once = Once::new();
            SAID.call_once(|| print::complain(&format!("warning: {difference}")));
        }
        Ok(response.answer)
    }

    /// Print an answer.
    pub(super) fn show(&self, answer: &Answer) -> ExitCode {
        let printed = if self.json {
            print::json(answer)
        } else if answer.done {
            print::text(&format!("{}\n", answer.text))
        } else {
            print::complain(&answer.text);
            ExitCode::SUCCESS
        };
        if answer.done { printed } else { ExitCode::FAILURE }
    }
}

/// Refuse a worker that is not in the message registry; `effect` is what `--unregistered` does with it.
pub(super) fn require_registered(name: &str, config: &Config, effect: &str) -> Result<(), ExitCode> {
    let registered = &config.registry.workers;
    if registered.contains_key(name) {
        return Ok(());
    }
    print::complain(&format!(
        "worker {name:?} is not in the message registry{} (--unregistered {effect})",
        did_you_mean(name, registered.keys())
    ));
    Err(ExitCode::FAILURE)
}

/// Return the launch of a worker that the command line names. A worker that is not registered is refused, unless
/// `--unregistered` is given.
pub(super) fn requested_launch(
    name: &str,
    args: &[String],
    config: &Config,
    unregistered: bool,
) -> Result<NextWorker, ExitCode> {
    let launch = NextWorker::new(qualified(name, config), args.to_vec());
    if !unregistered {
        require_registered(launch.name(), config, "launches it")?;
    }
    Ok(launch)
}

/// Return the worker's module. A name without dots that is neither built in nor has a command of its own gets the
/// workers' package as a prefix, as in a rule's `worker("name")`.
fn qualified(name: &str, config: &Config) -> String {
    let has_command = config.workers.get(name).is_some_and(|worker| worker.command.is_some());
    match &config.registry.workers_package {
        Some(package) if !name.contains('.') && !has_command && built_in(name).is_none() => {
            format!("{package}.{name}")
        }
        _ => name.to_owned(),
    }
}

/// Read a configuration. If it is invalid, print why and return the exit status.
pub(super) fn load(file: &Path) -> Result<Config, ExitCode> {
    read(file).map_err(|error| {
        print::complain(&error.to_string());
        ExitCode::from(USAGE)
    })
}

/// Read a configuration.
pub(super) fn read(file: &Path) -> Result<Config, config::ConfigError> {
    config::load(file).map(|(config, _)| config)
}

/// Return the operator's name: that of the person behind `sudo`, or of the user. The control socket admits only the
/// manager's own user and root.
pub(super) fn user() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .or_else(|| Some(get_user_by_uid(get_current_uid())?.name().to_string_lossy().into_owned()))
        .unwrap_or_else(|| format!("uid {}", get_current_uid()))
}

/// Read a number as people write it, such as `8812` or `#8812`.
pub(super) fn number(text: &str) -> Result<Number, String> {
    numbered(text, "number", "nowcast status")
}

/// Read the number of a run.
pub(super) fn run_number(text: &str) -> Result<Number, String> {
    numbered(text, "run number", "nowcast runs")
}

/// Read the number of a message or another event.
pub(super) fn message_number(text: &str) -> Result<Number, String> {
    numbered(text, "message number", "nowcast messages")
}

fn numbered(text: &str, what: &str, command: &str) -> Result<Number, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits
        .parse()
        .map(Number)
        .map_err(|_| format!("invalid {what} {text:?}; use a number shown by \"{command}\""))
}

/// Read the number of entries to show.
pub(super) fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("use a whole number from 0 to {}", u32::MAX))
}

/// A future time. What is said as a duration does not follow the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FutureTime {
    At(Timestamp),
    In(SignedDuration),
}

impl FutureTime {
    /// Return the time, if it was said as one.
    pub(super) fn at(self) -> Option<Timestamp> {
        if let Self::At(time) = self { Some(time) } else { None }
    }

    /// Return the duration, if it was said as one.
    pub(super) fn duration(self) -> Option<SignedDuration> {
        if let Self::In(duration) = self { Some(duration) } else { None }
    }
}

/// Read a future time, such as `2026-03-14 06:00`, `06:00` (the next one), or `3h`, a duration from now.
pub(super) fn future_time(text: &str) -> Result<FutureTime, String> {
    after(text, &ZonedDateTime::now())
}

fn after(text: &str, now: &ZonedDateTime) -> Result<FutureTime, String> {
    if let Ok(span) = duration::parse(text) {
        let is_valid = now.timestamp().checked_add(span).map_err(|error| error.to_string());
        return is_valid.map(|_| FutureTime::In(span));
    }
    let refuse = || "use a time (06:00, 2026-03-14 06:00) or a duration from now (3h)".to_owned();
    let time = times::dated(text, now).unwrap_or_else(|| {
        let time: jiff::civil::Time = text.parse().map_err(|_| refuse())?;
        let today = times::on(now.date(), time, now).filter(|today| today > &now.timestamp());
        let next = today.or_else(|| times::on(now.date().tomorrow().ok()?, time, now));
        next.ok_or_else(refuse)
    });
    time.map(FutureTime::At)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_time_is_read_as_people_write_it() {
        let now: ZonedDateTime = "2026-03-14T04:40:00-07:00[America/Vancouver]".parse().unwrap();
        for (text, expected) in [
            ("06:00", "2026-03-14T13:00:00Z"),
            ("04:00", "2026-03-15T11:00:00Z"),
            ("2026-03-20 06:00", "2026-03-20T13:00:00Z"),
            ("2026-03-20", "2026-03-20T07:00:00Z"),
            ("2026-03-20T06:00:00Z", "2026-03-20T06:00:00Z"),
        ] {
            assert_eq!(after(text, &now), Ok(FutureTime::At(expected.parse().unwrap())), "{text}");
        }
        assert_eq!(after("3h", &now), Ok(FutureTime::In(SignedDuration::from_hours(3))));
        assert!(after("9999-12-31", &now).unwrap_err().contains("out of range"));
        assert!(after("soon", &now).unwrap_err().contains("use a time"));
    }
}
