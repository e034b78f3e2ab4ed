//! [`LaunchRequest`]: a run to launch, and its worker's command line on its host. Pure: it starts nothing.

use std::path::{self, Path, PathBuf};

use indexmap::IndexMap;

use super::launch_command::{ExecWorker, LaunchCommand, RunLocation, prefix};
use super::merged_config;
use super::watched_processes::Environment;
use crate::config::{Config, Host, StartSettings, WorkerSettings};
use crate::worker;
use nowcast_core::message::CYCLE;
use nowcast_core::next_worker::NextWorker;
use nowcast_core::{Cycle, Number, RunId};

/// Why a worker cannot be launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The host is not in the configuration.
    #[error("the host {host} is not in `run: enabled hosts:` or `hosts:`; known hosts: {known}")]
    UnknownHost {
        /// The host that the rule named.
        host: String,
        /// The hosts in the configuration.
        known: String,
    },
    /// The host lacks a setting that a launch needs.
    #[error("the host {host} has no `{key}:` in `run: enabled hosts: {host}:`")]
    HostLacks {
        /// The host.
        host: String,
        /// The setting.
        key: &'static str,
    },
    /// The worker has a working folder, in which the host's configuration file would be looked for.
    #[error(
        "`config file: {file}` of the host {host} must begin with `/`, since `folder:` of the worker {worker} changes the folder there"
    )]
    RelativeFile {
        /// The configuration file.
        file: String,
        /// The host.
        host: String,
        /// The worker's name.
        worker: String,
    },
    /// The worker is a Python module, and no Python is configured.
    #[error(
        "{module} is not a built-in worker, and the configuration has no `python:` to run it as a Python module; add \
         `python:`, or give the worker a command in `workers: {name}: command:`"
    )]
    NoPython {
        /// The module.
        module: String,
        /// The worker's name.
        name: String,
    },
}

/// A run to launch, and the sources of its commands.
pub(super) struct LaunchRequest<'a> {
    pub(super) worker: &'a NextWorker,
    pub(super) run: RunId,
    pub(super) cycle: Option<&'a Cycle>,
    pub(super) config: &'a Config,
    pub(super) nowcast_binary: &'a Path,
    pub(super) location: RunLocation<'a>,
    pub(super) host: &'a Host,
    /// Whether values of environment variables are in the command line; without, it is for the log.
    pub(super) shows_values: bool,
}

impl LaunchRequest<'_> {
    /// Return the commands for this machine. The program of `exec:` is executed by the runner, which reports for it.
    pub(super) fn local_command(&self) -> Result<LaunchCommand, LaunchError> {
        let name = self.worker.name();
        let file = self.local_file();
        let start = self.start_settings(&file);
        let program = self
            .settings()
            .and_then(|settings| settings.exec.as_ref().filter(|_| settings.command.is_none()));
        let Some(program) = program else {
            return Ok(LaunchCommand { start, ..self.local_words()?.into() });
        };
        let words = program.iter().map(|word| filled(word, &file, name, self.run));
        let argv: Vec<String> = words.chain(self.worker.args.iter().cloned()).collect();
        let exec = ExecWorker { name: name.to_owned(), config: file.into() };
        Ok(LaunchCommand { exec: Some(exec), start, ..argv.into() })
    }

    /// Return the worker's command line for this machine, or for a host that shares its files.
    pub(super) fn local_words(&self) -> Result<Vec<String>, LaunchError> {
        let (worker, file) = (self.worker, self.local_file());
        let nowcast = self.nowcast_binary.to_string_lossy();
        let mut words = if let Some(command) = self.configured_command(&file, &self.merged_file(), &nowcast) {
            command
        } else if let Some(name) = worker::built_in(&worker.module).filter(|_| self.host.python.is_none()) {
            vec![nowcast.into_owned(), "worker".to_owned(), name.to_owned(), file]
        } else {
            let python = self.host.python.as_ref().or(self.config.python.as_ref());
            let python = python.cloned().ok_or_else(|| LaunchError::NoPython {
                module: worker.module.clone(),
                name: worker.name().to_owned(),
            })?;
            let module = match &self.host.python {
                Some(_) => python_module(&worker.module),
                None => worker.module.clone(),
            };
            vec![python, "-m".to_owned(), module, self.merged_file()]
        };
        words.extend(worker.args.iter().cloned());
        Ok(words)
    }

    /// Return the worker's command line for a host with files of its own.
    pub(super) fn remote_words(&self) -> Result<Vec<String>, LaunchError> {
        let file = self.remote_file()?;
        let mut words = if let Some(command) = self.configured_command(&file, &file, "nowcast") {
            command
        } else {
            let python = self.require(self.host.python.as_ref(), "python")?;
            vec![python, "-m".to_owned(), python_module(&self.worker.module), file]
        };
        words.extend(self.worker.args.iter().cloned());
        Ok(words)
    }

    /// Return the worker's settings in the configuration.
    fn settings(&self) -> Option<&WorkerSettings> {
        self.config.workers.get(self.worker.name())
    }

    /// Check that the worker finds its configuration file on a remote host.
    pub(super) fn check_remote_file(&self) -> Result<(), LaunchError> {
        let has_folder = self.settings().is_some_and(|settings| settings.start.folder.is_some());
        match &self.host.config_file {
            Some(file) if has_folder && !file.starts_with('/') => Err(LaunchError::RelativeFile {
                file: file.clone(),
                host: self.worker.host.clone(),
                worker: self.worker.name().to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Return how the worker's process starts where this is the configuration file.
    pub(super) fn start_settings(&self, file: &str) -> StartSettings {
        let start = self.settings().map(|settings| settings.start.clone()).unwrap_or_default();
        let folder = start.folder.as_ref().map(|folder| {
            let folder = working_folder_at(file, folder, self.worker.name(), self.run);
            folder.to_string_lossy().into_owned()
        });
        StartSettings { folder, ..start }
    }

    /// Return the variables that the worker gets on a remote host: those of its settings, of its launch, and its cycle. Without them the
    /// line stays NEMO_Nowcast's.
    pub(super) fn remote_variables(&self, file: &str) -> Vec<(String, String)> {
        let mut variables: IndexMap<String, String> =
            variables_at(file, self.config, self.worker.name(), self.run).collect();
        variables.extend(self.worker.options.env.iter().cloned());
        let shown = |value: String| if self.shows_values { value } else { "…".to_owned() };
        variables.into_iter().map(|(name, value)| (name, shown(value))).collect()
    }

    /// Return a worker's command line for a remote host, with what gives the process its settings, variables and cycle before it.
    pub(super) fn prepared(&self, words: Vec<String>, start: &StartSettings, file: &str) -> Vec<String> {
        let cycle = self.cycle.map(|cycle| (CYCLE.to_owned(), cycle.to_string()));
        let variables: Vec<_> = self.remote_variables(file).into_iter().chain(cycle).collect();
        prefix(start, &variables).into_iter().chain(words).collect()
    }

    /// Return the configuration file for a host that shares this machine's files. A worker with a working folder finds it from there.
    pub(super) fn local_file(&self) -> String {
        self.host.config_file.clone().unwrap_or_else(|| self.file_here(&self.config.file))
    }

    /// Return a file of this machine as the worker finds it.
    fn file_here(&self, file: &Path) -> String {
        if self.settings().is_some_and(|settings| settings.start.folder.is_some()) {
            absolute(file)
        } else {
            file.to_string_lossy().into_owned()
        }
    }

    /// Return the configuration file of a host with files of its own.
    pub(super) fn remote_file(&self) -> Result<String, LaunchError> {
        self.require(self.host.config_file.as_ref(), "config file")
    }

    /// Return the same for a worker that reads it by itself and may not know `include:`.
    fn merged_file(&self) -> String {
        self.host.config_file.clone().unwrap_or_else(|| self.file_here(&merged_config::path(self.config)))
    }

    pub(super) fn job_name(&self) -> String {
        self.location.job_name(self.run)
    }

    /// Return a setting of the host that this launch needs.
    pub(super) fn require(&self, setting: Option<&String>, key: &'static str) -> Result<String, LaunchError> {
        setting.cloned().ok_or_else(|| LaunchError::HostLacks { host: self.worker.host.clone(), key })
    }

    /// Return the worker's command from the configuration: `command` with the merged file, `exec` with the other one and run by `nowcast exec`, which prints
    /// how the program ended, for the runner here.
    fn configured_command(&self, file: &str, merged: &str, nowcast: &str) -> Option<Vec<String>> {
        let name = self.worker.name();
        let settings = self.settings()?;
        let fill = |word: &String| filled(word, file, name, self.run);
        if let Some(command) = &settings.command {
            return Some(command.iter().map(|word| fill(&word.replace("{config}", merged))).collect());
        }
        let command = settings.exec.as_ref()?;
        let reporter = [nowcast, "exec", name, file, "--print-exit", "--"].map(str::to_owned);
        Some(reporter.into_iter().chain(command.iter().map(fill)).collect())
    }
}

/// Return the variables of a worker's settings on this machine.
#[must_use]
pub fn variables(config: &Config, worker: &str, run: RunId) -> Environment {
    let file = absolute_file(config);
    let variables = variables_at(&file, config, worker, run);
    variables.map(|(name, value)| (name, value.into())).collect()
}

/// Return the variables of a worker's settings, where this is the configuration file.
fn variables_at(
    file: &str,
    config: &Config,
    worker: &str,
    run: RunId,
) -> impl Iterator<Item = (String, String)> {
    let settings = config.workers.get(worker);
    let variables = settings.into_iter().flat_map(|settings| &settings.environment);
    variables.map(move |(name, value)| (name.clone(), filled(value, file, worker, run)))
}

/// Return the working folder of a worker's settings on this machine. One for each run is not known before.
#[must_use]
pub fn working_folder(config: &Config, worker: &str) -> Option<PathBuf> {
    let folder =
        config.workers.get(worker)?.start.folder.as_ref().filter(|folder| !folder.contains("{run}"))?;
    Some(working_folder_at(&absolute_file(config), folder, worker, Number(0)))
}

/// Return a working folder, where this is the configuration file.
fn working_folder_at(file: &str, folder: &str, worker: &str, run: RunId) -> PathBuf {
    Path::new(&folder_of(file)).join(filled(folder, file, worker, run))
}

pub(super) fn absolute_file(config: &Config) -> String {
    absolute(&config.file)
}

fn absolute(file: &Path) -> String {
    path::absolute(file).as_deref().unwrap_or(file).to_string_lossy().into_owned()
}

/// Replace the placeholders in a word of a worker's command.
pub(super) fn filled(word: &str, file: &str, worker: &str, run: RunId) -> String {
    let word = word.replace("{config}", file).replace("{folder}", &folder_of(file));
    word.replace("{worker}", worker).replace("{run}", &run.0.to_string())
}

/// Return the folder of a configuration file.
pub(super) fn folder_of(file: &str) -> String {
    let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(".".to_owned(), |folder| folder.to_string_lossy().into_owned())
}

/// Return the module that a host's Python runs. The bare name of a built-in worker means NEMO_Nowcast's there.
fn python_module(module: &str) -> String {
    match worker::built_in(module) {
        Some(name) => format!("{}{name}", worker::NEMO_PACKAGE),
        None => module.to_owned(),
    }
}
