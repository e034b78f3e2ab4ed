//! A run that is to be launched, and its worker's command line here or on its host. Pure: it starts nothing.

use std::path::Path;

use super::on_host::RunLocation;
use crate::config::{Config, Host};
use crate::worker;
use nowcast_core::RunId;
use nowcast_core::next_worker::NextWorker;

/// Why a worker cannot be launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The host is not in the configuration.
    #[error("the host {host} is not in `run: enabled hosts:` or `hosts:`; there are: {known}")]
    UnknownHost {
        /// The host that the rule named.
        host: String,
        /// The hosts that there are.
        known: String,
    },
    /// The host lacks what a launch there needs.
    #[error("the host {host} has no `{key}:` in `run: enabled hosts: {host}:`")]
    HostLacks {
        /// The host.
        host: String,
        /// What it lacks.
        key: &'static str,
    },
    /// The worker is a Python module and there is no Python.
    #[error(
        "{module} is no built-in worker, so it is taken for a Python module, but the configuration has no \
         `python:`; add it, or give the worker a command in `workers: {name}: command:`"
    )]
    NoPython {
        /// The module.
        module: String,
        /// The worker's name.
        name: String,
    },
}

/// A launch, and what its commands are made from.
pub(super) struct LaunchRequest<'a> {
    pub(super) worker: &'a NextWorker,
    pub(super) run: RunId,
    pub(super) config: &'a Config,
    pub(super) program: &'a Path,
    pub(super) location: RunLocation<'a>,
    pub(super) host: &'a Host,
}

impl LaunchRequest<'_> {
    /// The worker's words for a machine that has this one's files, or for this machine itself.
    pub(super) fn words_here(&self) -> Result<Vec<String>, LaunchError> {
        let (worker, file) = (self.worker, self.file_here());
        let program = self.program.to_string_lossy();
        let mut words = if let Some(command) = self.own_command(&file, &program) {
            command
        } else if let Some(name) = worker::built_in(&worker.module).filter(|_| self.host.python.is_none()) {
            vec![program.into_owned(), "worker".to_owned(), name.to_owned(), file]
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
            vec![python, "-m".to_owned(), module, file]
        };
        words.extend(worker.args.iter().cloned());
        Ok(words)
    }

    /// The worker's words for a host with files of its own.
    pub(super) fn words_there(&self) -> Result<Vec<String>, LaunchError> {
        let file = self.need(self.host.config_file.as_ref(), "config file")?;
        let mut words = if let Some(command) = self.own_command(&file, "nowcast") {
            command
        } else {
            let python = self.need(self.host.python.as_ref(), "python")?;
            vec![python, "-m".to_owned(), python_module(&self.worker.module), file]
        };
        words.extend(self.worker.args.iter().cloned());
        Ok(words)
    }

    /// The configuration file for a machine that has this one's files.
    pub(super) fn file_here(&self) -> String {
        let file = self.host.config_file.clone();
        file.unwrap_or_else(|| self.config.file.to_string_lossy().into_owned())
    }

    pub(super) fn job_name(&self) -> String {
        self.location.job_name(self.run)
    }

    /// What the host must have for this launch.
    pub(super) fn need(&self, setting: Option<&String>, key: &'static str) -> Result<String, LaunchError> {
        setting.cloned().ok_or_else(|| LaunchError::HostLacks { host: self.worker.host.clone(), key })
    }

    /// What the configuration gives the worker as its command: `command` as it is, `exec` behind `nowcast exec`.
    fn own_command(&self, file: &str, nowcast: &str) -> Option<Vec<String>> {
        let name = self.worker.name();
        let settings = self.config.workers.get(name)?;
        let fill = |word: &String| filled(word, file, name, self.run);
        if let Some(command) = &settings.command {
            return Some(command.iter().map(fill).collect());
        }
        let command = settings.exec.as_ref()?;
        let reporter = [nowcast, "exec", name, file, "--"].map(str::to_owned);
        Some(reporter.into_iter().chain(command.iter().map(fill)).collect())
    }
}

/// A word of a worker's command with its placeholders replaced.
pub(super) fn filled(word: &str, file: &str, worker: &str, run: RunId) -> String {
    let word = word.replace("{config}", file).replace("{folder}", &folder_of(file));
    word.replace("{worker}", worker).replace("{run}", &run.0.to_string())
}

/// The folder of a configuration file.
pub(super) fn folder_of(file: &str) -> String {
    let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(".".to_owned(), |folder| folder.to_string_lossy().into_owned())
}

/// The module that a host's Python runs; a built-in worker by its bare name is the peer's there.
fn python_module(module: &str) -> String {
    match worker::built_in(module) {
        Some(name) => format!("{}{name}", worker::PEER_PACKAGE),
        None => module.to_owned(),
    }
}
