//! [`LaunchRequest`]: a run to launch, and its worker's command line on its host. Pure: it starts nothing.

use std::path::Path;

use super::launch_command::{ExecWorker, LaunchCommand, RunLocation};
use super::merged_config;
use crate::config::{Config, Host};
use crate::worker;
use nowcast_core::message::CYCLE;
use nowcast_core::next_worker::NextWorker;
use nowcast_core::{Cycle, RunId};

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
}

impl LaunchRequest<'_> {
    /// Return the commands for this machine. The program of `exec:` is executed by the runner, which reports for it.
    pub(super) fn local_command(&self) -> Result<LaunchCommand, LaunchError> {
        let name = self.worker.name();
        let settings = self.config.workers.get(name);
        let program =
            settings.and_then(|settings| settings.exec.as_ref().filter(|_| settings.command.is_none()));
        let Some(program) = program else { return self.local_words().map(LaunchCommand::from) };
        let file = self.local_file();
        let words = program.iter().map(|word| filled(word, &file, name, self.run));
        let argv = words.chain(self.worker.args.iter().cloned()).collect();
        let exec = ExecWorker { name: name.to_owned(), config: file.into() };
        Ok(LaunchCommand { argv, exec: Some(exec), remote: None })
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
        let file = self.require(self.host.config_file.as_ref(), "config file")?;
        let mut words = if let Some(command) = self.configured_command(&file, &file, "nowcast") {
            command
        } else {
            let python = self.require(self.host.python.as_ref(), "python")?;
            vec![python, "-m".to_owned(), python_module(&self.worker.module), file]
        };
        words.extend(self.worker.args.iter().cloned());
        Ok(words)
    }

    /// Return a worker's command line for a remote host with its cycle before it. `env` executes the rest in its own place, so the
    /// process has the same words. Without a cycle the line stays NEMO_Nowcast's.
    pub(super) fn in_cycle(&self, words: Vec<String>) -> Vec<String> {
        let set = self.cycle.map(|cycle| ["env".to_owned(), format!("{CYCLE}={cycle}")]);
        set.into_iter().flatten().chain(words).collect()
    }

    /// Return the configuration file for a host that shares this machine's files.
    pub(super) fn local_file(&self) -> String {
        let file = self.host.config_file.clone();
        file.unwrap_or_else(|| self.config.file.to_string_lossy().into_owned())
    }

    /// Return the same for a worker that reads it by itself and may not know `include:`.
    fn merged_file(&self) -> String {
        let file = self.host.config_file.clone();
        file.unwrap_or_else(|| merged_config::path(self.config).to_string_lossy().into_owned())
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
        let settings = self.config.workers.get(name)?;
        let fill = |word: &String| filled(word, file, name, self.run);
        if let Some(command) = &settings.command {
            return Some(command.iter().map(|word| fill(&word.replace("{config}", merged))).collect());
        }
        let command = settings.exec.as_ref()?;
        let reporter = [nowcast, "exec", name, file, "--print-exit", "--"].map(str::to_owned);
        Some(reporter.into_iter().chain(command.iter().map(fill)).collect())
    }
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
