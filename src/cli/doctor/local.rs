//! Checks this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use rustix::fs::{Access, access, statvfs};

use super::{DoctorCheck, bounded, ports};
use crate::cli::requirements;
use crate::config::{Config, Port, Problem, Severity};
use crate::exposure;
use crate::rules::RuleSet;
use crate::store::journal::History;
use nowcast_core::counted::counted;
use pyyaml::Value;

/// The free space, in bytes, below which the journal soon cannot be written.
const TOO_LITTLE: u64 = 100 * 1024 * 1024;

/// The free space, in bytes, below which an operator should free some.
const LITTLE: u64 = 1024 * 1024 * 1024;

/// The time limit for Python to start.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Check the configuration, which was read with these problems.
pub(super) fn configuration(config: &Config, problems: &[Problem]) -> DoctorCheck {
    let warnings: Vec<String> = problems
        .iter()
        .filter(|problem| problem.severity >= Severity::Warning)
        .map(ToString::to_string)
        .collect();
    if warnings.is_empty() {
        let workers = counted(config.registry.workers.len(), "worker", "workers");
        return DoctorCheck::ok("configuration", format!("{}, {workers}", config.file.display()));
    }
    let (text, help) = (warnings.join("\n"), "\"nowcast config check\" shows more");
    if problems.iter().any(|problem| problem.severity > Severity::Warning) {
        return DoctorCheck::failed("configuration", text, help);
    }
    DoctorCheck::warning("configuration", text, help)
}

/// Check whether strangers can connect.
fn encryption(config: &Config) -> DoctorCheck {
    const NAME: &str = "encryption";
    let open: Vec<&str> = config.open_ports().into_iter().map(Port::description).collect();
    if config.zmq.curve.is_some() {
        DoctorCheck::ok(NAME, "connections are encrypted, and only authorized keys connect".to_owned())
    } else if open.is_empty() {
        DoctorCheck::ok(NAME, "not used: all ports are for this machine only".to_owned())
    } else {
        let text = format!("not used: other machines can connect without a key ({})", open.join(", "));
        DoctorCheck::warning(
            NAME,
            text,
            "make keys with \"nowcast keys\", and list networks in `security: allow:`",
        )
    }
}

/// Check whether other users can read secrets or change what the system does.
fn rights(config: &Config) -> Vec<DoctorCheck> {
    const NAME: &str = "rights";
    let journal = exposure::of_journal(config);
    let found = [exposure::of_inputs(config), exposure::of_keys(config)].concat();
    let to_check = |found: &exposure::Exposure, more: &str| {
        let help = format!("{}{more}", found.repair);
        if found.is_refused {
            DoctorCheck::failed(NAME, found.to_string(), help)
        } else {
            DoctorCheck::warning(NAME, found.to_string(), help)
        }
    };
    let is_changed = "; check that nothing in it was changed";
    let of_journal = journal.iter().map(|found| {
        let more = match found.is_refused {
            true => is_changed,
            false if found.is_set_aside() => "; check what it is first",
            false => " (the manager does so when it starts)",
        };
        to_check(found, more)
    });
    let checks: Vec<_> = of_journal.chain(found.iter().map(|found| to_check(found, is_changed))).collect();
    if checks.is_empty() {
        let text = "other users cannot change the journal, configuration, rules, checklist or keys";
        return vec![DoctorCheck::ok(NAME, text)];
    }
    checks
}

/// Run all other checks of this machine.
pub(super) fn checks(config: &Config) -> Vec<DoctorCheck> {
    let mut checks = vec![rules(config)];
    checks.extend(folders(config));
    checks.extend(rights(config));
    checks.push(space(&config.journal.folder));
    checks.extend(ports::checks(config));
    checks.push(encryption(config));
    checks.extend(python(config));
    checks.extend(requirements(config));
    checks.push(clock(config));
    checks
}

fn rules(config: &Config) -> DoctorCheck {
    let module = &config.registry.next_workers_module;
    match RuleSet::of(config).load(None) {
        Err(error) => {
            DoctorCheck::failed("rules", error.to_string(), "repair them; \"nowcast rules check\" shows more")
        }
        Ok(_) => DoctorCheck::ok("rules", format!("{module} can be loaded")),
    }
}

/// Check the folders in which daemons write.
fn folders(config: &Config) -> Vec<DoctorCheck> {
    let journal = &config.journal.folder;
    let mut checks = vec![if journal.exists() && !journal.is_dir() {
        let text = format!("{} is not a folder", journal.display());
        DoctorCheck::failed(
            "journal",
            text,
            "move the file away, or set another folder in `journal: folder:`",
        )
    } else {
        writable("journal", journal)
    }];
    checks.push(writable("checklist file", &config.checklist_file));
    checks.extend(log_files(&config.logging).iter().map(|file| writable("log file", file)));
    checks
}

/// Check whether a file or folder, or the nearest existing folder above it, can be written.
fn writable(check: &str, path: &Path) -> DoctorCheck {
    let place = existing(path);
    let right = if place.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    match access(&place, right) {
        Ok(()) => DoctorCheck::ok(check, format!("{} can be written", path.display())),
        Err(error) => {
            let text = format!("{} cannot be written: {}: {error}", path.display(), place.display());
            let help = format!("give the daemons' user write access to {}", place.display());
            DoctorCheck::failed(check, text, help)
        }
    }
}

/// Return the log files of all handlers, also of those for publishers and for the log aggregator.
fn log_files(logging: &Value) -> BTreeSet<PathBuf> {
    let parts = [Some(logging), logging.get("publisher"), logging.get("aggregator")];
    let handlers = parts.into_iter().flatten().filter_map(|part| part.get("handlers")?.as_map());
    let files = handlers.flatten().filter_map(|(_, handler)| handler.get("filename")?.as_str());
    files.map(PathBuf::from).collect()
}

/// Return the path, or the nearest existing path above it.
fn existing(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().find(|path| path.exists()).unwrap_or(&path).to_owned()
}

fn space(folder: &Path) -> DoctorCheck {
    let folder = existing(folder);
    let help = format!("free space on the disk of {}", folder.display());
    match statvfs(&folder) {
        Err(error) => DoctorCheck::failed("disk space", format!("{}: {error}", folder.display()), help),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let text = format!("{} MB are free for the journal", free / 1024 / 1024);
            match free {
                0..TOO_LITTLE => DoctorCheck::failed("disk space", text, help),
                TOO_LITTLE..LITTLE => DoctorCheck::warning("disk space", text, help),
                LITTLE.. => DoctorCheck::ok("disk space", text),
            }
        }
    }
}

fn python(config: &Config) -> Vec<DoctorCheck> {
    let Some(python) = config.python.as_ref().filter(|_| !is_default_python(config)) else {
        return Vec::new();
    };
    let ask = |words: &[&str]| {
        let argv: Vec<String> =
            std::iter::once(python.as_str()).chain(words.iter().copied()).map(str::to_owned).collect();
        bounded::run(&argv, TIMEOUT)
    };
    let version = match ask(&["-c", "import sys; print(sys.version.split()[0])"]) {
        Ok(version) => DoctorCheck::ok("python", format!("{python} is Python {}", version.trim())),
        Err(why) => {
            let help = "set `python:` in the configuration to an interpreter that runs";
            return vec![DoctorCheck::failed("python", why, help)];
        }
    };
    let packages = match ask(&["-c", "import yaml, zmq"]) {
        Ok(_) => DoctorCheck::ok("python packages", "PyYAML and pyzmq are installed"),
        Err(why) => {
            let help = "Python workers need PyYAML and pyzmq: install them there";
            DoctorCheck::warning("python packages", why, help)
        }
    };
    vec![version, packages]
}

/// Whether the configuration leaves out `python:`. Then a Python that does not run matters only if a worker needs it.
fn is_default_python(config: &Config) -> bool {
    config.defaulted.contains(&vec!["python".to_owned()])
}

/// Check the programs and Python modules of workers.
fn requirements(config: &Config) -> Vec<DoctorCheck> {
    let mut missing = requirements::missing(config);
    // A Python that is set and does not run has a check of its own.
    missing.retain(|missing| missing.key != "python" || is_default_python(config));
    if missing.is_empty() {
        return vec![DoctorCheck::ok(
            "workers",
            "the programs and modules that the configuration names are installed",
        )];
    }
    let check = |missing: requirements::Missing| {
        let text = format!("{}: {}", missing.key, missing.text);
        if missing.is_certain {
            DoctorCheck::failed("workers", text, "launches of the worker would fail on this machine")
        } else {
            DoctorCheck::warning("workers", text, "needed only if the worker is launched on this machine")
        }
    };
    missing.into_iter().map(check).collect()
}

/// Check the clock and time zone, on which schedules and rules depend.
fn clock(config: &Config) -> DoctorCheck {
    let now = Timestamp::now();
    let zone = TimeZone::system();
    let text = ZonedDateTime::new(now, zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string();
    let last =
        History::open(&config.journal.folder).ok().and_then(|history| history.open_now().ok()?.last_event);
    if let Some(last) = last.filter(|last| last.at.timestamp() > now) {
        let text = format!("it is {text}, but the journal's last event was at {}", last.at);
        return DoctorCheck::failed(
            "clock",
            text,
            "set the clock; keep it right with chrony or systemd-timesyncd",
        );
    }
    if zone.is_unknown() {
        let help = "set it with timedatectl set-timezone, or in the variable TZ";
        return DoctorCheck::warning("clock", format!("{text}; the time zone is not known"), help);
    }
    DoctorCheck::ok("clock", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_file_is_checked_once() {
        let files = |text: &str| Vec::from_iter(log_files(&pyyaml::read(text).unwrap()));
        let handlers = |file| format!("handlers: {{console: {{class: x}}, text: {{filename: {file}}}}}");
        let paths = |files: &[&str]| files.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(files(&handlers("/a")), paths(&["/a"]));
        let (publisher, aggregator) = (handlers("/b"), handlers("/c"));
        let parts = format!("{{publisher: {{{publisher}}}, aggregator: {{{aggregator}}}}}");
        assert_eq!(files(&parts), paths(&["/b", "/c"]));
        let same = format!("{{publisher: {{{publisher}}}, aggregator: {{{publisher}}}}}");
        assert_eq!(files(&same), paths(&["/b"]));
        assert_eq!(files("null"), paths(&[]));
    }
}
