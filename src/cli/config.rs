//! `nowcast config check`, and the choice between the commands of `nowcast config`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use tempfile::TempDir;

use super::config_file::ConfigArgument;
use super::{USAGE, config_show, print, requirements};
use crate::config::defaults::{self, LOGS, Variables};
use crate::config::{self, Config, KeyPlaces, Problem, Severity};
use crate::rules;
use nowcast_core::counted::counted;
use pylogging::{Role, Setup};
use pyyaml::Value;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    action: ConfigCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ConfigCommand {
    /// Check the configuration file; list every problem with its line and its remedy
    Check {
        #[command(flatten)]
        config: ConfigArgument,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the configuration with its defaults, as YAML
    Show(config_show::Args),
}

/// The result of a check. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    /// Whether the daemons can start with it.
    is_usable: bool,
    problems: Vec<ReportedProblem>,
    /// The number of registered workers.
    workers: Option<usize>,
}

#[derive(Debug, Serialize)]
struct ReportedProblem {
    /// `error`, `warning` or `note`.
    severity: &'static str,
    file: PathBuf,
    line: Option<usize>,
    key: String,
    text: String,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (config, json) = match &args.action {
        ConfigCommand::Check { config, json } => (config, json),
        ConfigCommand::Show(args) => return config_show::run(args),
    };
    let report = Report::of(&config.path());
    let printed = if *json { print::json(&report) } else { print::text(&report.to_text()) };
    if report.has_errors() { ExitCode::from(USAGE) } else { printed }
}

impl Report {
    fn of(file: &Path) -> Self {
        let defaults = defaults::defaults(file);
        let lookup = defaults::lookup(defaults.clone());
        let used_variables = RefCell::new(BTreeSet::new());
        let lookup_and_note = |name: &str| {
            used_variables.borrow_mut().insert(name.to_owned());
            lookup(name)
        };
        let (config, problems) = match config::load_with(file, &lookup_and_note) {
            Ok((config, problems)) => (Some(config), problems),
            Err(error) => (None, error.problems),
        };
        let mut report = Self {
            file: file.to_owned(),
            is_usable: config.is_some(),
            problems: problems.into_iter().map(ReportedProblem::new).collect(),
            workers: config.as_ref().map(|config| config.registry.workers.len()),
        };
        if let Some(config) = &config {
            // A check must not create the log folder, but opens the log files to see whether it can.
            let temporary = temporary_log_folder(&defaults);
            let logging = temporary.as_ref().and_then(|logs| {
                let logs = logs.path().to_str()?;
                let lookup = |name: &str| if name == LOGS { Some(logs.to_owned()) } else { lookup(name) };
                Some(config::load_with(file, &lookup).ok()?.0.logging)
            });
            report.check_logging(config, logging.as_ref().unwrap_or(&config.logging));
            report.check_rules(config);
            report.check_requirements(config);
        }
        let used_variables = used_variables.into_inner();
        // Those that only a default uses are not named in the file.
        let is_in_file =
            |name: &String| config.as_ref().is_none_or(|config| config.text.contains(name.as_str()));
        let used = |(name, _): &&(String, _)| used_variables.contains(name) && is_in_file(name);
        for (name, value) in defaults.iter().filter(used) {
            let text =
                format!("the environment variable {name} is not set; the default is {}", value.display());
            report.add("note", "", text);
        }
        report
    }

    fn check_logging(&mut self, config: &Config, logging: &Value) {
        for role in [Role::Daemon].into_iter().chain(config.aggregates_logs().then_some(Role::Aggregator)) {
            match Setup::from_value(logging, role) {
                Ok((_, warnings)) => {
                    for warning in warnings {
                        self.add("warning", "", warning.to_string());
                        self.point_to(&config.places, warning.place());
                    }
                }
                Err(error) => {
                    self.refuse("", error.to_string());
                    self.point_to(&config.places, error.place());
                }
            }
        }
    }

    /// Set the place of the last problem: that of the key at `keys`, or of the nearest section around it.
    fn point_to(&mut self, places: &KeyPlaces, keys: &str) {
        let keys: Vec<&str> = keys.split(": ").collect();
        if let (Some(problem), Some(place)) = (self.problems.last_mut(), places.nearest(&keys)) {
            place.file.clone_into(&mut problem.file);
            problem.line = Some(place.line);
        }
    }

    fn check_rules(&mut self, config: &Config) {
        if let Err(error) = rules::locate(&self.file, &config.registry.next_workers_module) {
            self.refuse("message registry: next workers module", error.to_string());
        }
    }

    fn check_requirements(&mut self, config: &Config) {
        for missing in requirements::missing(config) {
            let place = if missing.is_certain { "" } else { " (only if it is launched on this machine)" };
            self.add("warning", &missing.key, format!("{}{place}", missing.text));
            self.point_to(&config.places, &missing.place);
        }
    }

    /// Return whether a problem is an error.
    fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == "error")
    }

    fn refuse(&mut self, key: &str, text: String) {
        self.is_usable = false;
        self.add("error", key, text);
    }

    fn add(&mut self, severity: &'static str, key: &str, text: String) {
        let file = self.file.clone();
        self.problems.push(ReportedProblem { severity, file, line: None, key: key.to_owned(), text });
    }

    fn to_text(&self) -> String {
        let file = self.file.display();
        let line = |problem: &ReportedProblem| {
            let line = problem.line.map(|line| format!(", line {line}")).unwrap_or_default();
            let key = if problem.key.is_empty() { String::new() } else { format!(", {}", problem.key) };
            let place = problem.file.display();
            format!("{}: {place}{line}{key}: {}\n", problem.severity, problem.text)
        };
        let summary = self.workers.filter(|_| !self.has_errors());
        let summary = summary.map(|count| {
            format!("{file} is valid: {}\n", counted(count, "worker registered", "workers registered"))
        });
        self.problems.iter().map(line).chain(summary).collect()
    }
}

/// Return an empty folder to use instead of the log folder, if "nowcast up" has yet to create that.
fn temporary_log_folder(defaults: &Variables) -> Option<TempDir> {
    let (_, logs) = defaults.iter().find(|(name, _)| name == LOGS)?;
    if Path::new(logs).exists() { None } else { tempfile::tempdir().ok() }
}

impl ReportedProblem {
    fn new(problem: Problem) -> Self {
        let severity = match problem.severity {
            Severity::Error | Severity::Mistake => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        Self { severity, file: problem.file, line: problem.line, key: problem.key, text: problem.text }
    }
}
