//! The command line that starts a worker. Pure: it starts nothing.

use std::path::Path;

use crate::config::{Config, Host};
use crate::core::RunId;
use crate::core::next_worker::{LOCALHOST, NextWorker};
use crate::worker;

/// Why a worker cannot be launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The host is not in the configuration.
    #[error("the host {host} is not in `run: enabled hosts:`; it has: {known}")]
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

/// The command line for a worker: the first of its own command in the configuration, a built-in
/// worker (`program` is our own binary), and a Python module as the peer starts it. On another host,
/// which it reaches by ssh as the peer does, a built-in worker is the peer's.
///
/// # Errors
/// When the configuration lacks something that this launch needs.
pub fn argv(
    worker: &NextWorker,
    run: RunId,
    config: &Config,
    program: &Path,
) -> Result<Vec<String>, LaunchError> {
    let file = config.file.to_string_lossy().into_owned();
    let mut argv = if worker.host != LOCALHOST {
        on_host(worker, run, config)?
    } else if let Some(command) = own_command(worker, run, config, &file, &program.to_string_lossy()) {
        command
    } else if let Some(name) = worker::built_in(&worker.module) {
        vec![program.to_string_lossy().into_owned(), "worker".to_owned(), name.to_owned(), file]
    } else {
        let python = config.python.clone().ok_or_else(|| LaunchError::NoPython {
            module: worker.module.clone(),
            name: worker.name().to_owned(),
        })?;
        vec![python, "-m".to_owned(), worker.module.clone(), file]
    };
    argv.extend(worker.args.iter().cloned());
    Ok(argv)
}

/// What the configuration gives the worker as its command: `command` as it is, `exec` behind `nowcast exec`.
fn own_command(
    worker: &NextWorker,
    run: RunId,
    config: &Config,
    file: &str,
    nowcast: &str,
) -> Option<Vec<String>> {
    let name = worker.name();
    let settings = config.workers.get(name)?;
    let run = run.0.to_string();
    let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or(".".to_owned(), |folder| folder.to_string_lossy().into_owned());
    let fill = |word: &String| {
        let word = word.replace("{config}", file).replace("{folder}", &folder);
        word.replace("{worker}", name).replace("{run}", &run)
    };
    if let Some(command) = &settings.command {
        return Some(command.iter().map(fill).collect());
    }
    let command = settings.exec.as_ref()?;
    let reporter = [nowcast, "exec", name, file, "--"].map(str::to_owned);
    Some(reporter.into_iter().chain(command.iter().map(fill)).collect())
}

/// The peer's command line, word for word: the host's shell joins them, so `;` ends the `source`.
fn on_host(worker: &NextWorker, run: RunId, config: &Config) -> Result<Vec<String>, LaunchError> {
    let name = &worker.host;
    let host = config.hosts.get(name).ok_or_else(|| LaunchError::UnknownHost {
        host: name.clone(),
        known: if config.hosts.is_empty() { "none".to_owned() } else { keys(config) },
    })?;
    let need = |setting: &Option<String>, key| {
        setting.clone().ok_or_else(|| LaunchError::HostLacks { host: name.clone(), key })
    };
    let Host { envvars, python, config_file, .. } = host;
    let envvars = need(envvars, "envvars")?;
    let mut argv = vec!["ssh".to_owned(), name.clone(), "source".to_owned(), envvars, ";".to_owned()];
    let file = need(config_file, "config file")?;
    match own_command(worker, run, config, &file, "nowcast") {
        Some(command) => argv.extend(command),
        None => {
            argv.extend([need(python, "python")?, "-m".to_owned(), python_module(&worker.module), file]);
        }
    }
    Ok(argv)
}

fn keys(config: &Config) -> String {
    config.hosts.keys().cloned().collect::<Vec<_>>().join(", ")
}

/// The module that a host's Python runs; a built-in worker by its bare name is the peer's there.
fn python_module(module: &str) -> String {
    match worker::built_in(module) {
        Some(name) => format!("{}{name}", worker::PEER_PACKAGE),
        None => module.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
checklist file: checklist.yaml
python: /env/bin/python
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry: {next workers module: next_workers, workers: {}}
workers: {run_model: {command: [run, '{config}', '{run}']}, plot: {exec: ['{folder}/plot.sh', '{worker}']}}
run: {enabled hosts: {robot: {envvars: env.sh, python: py, config file: there.yaml}}}
";

    fn words(module: &str, host: &str) -> String {
        let (config, _) = crate::config::parse(Path::new("here.yaml"), CONFIG.as_bytes(), &|_| None).unwrap();
        let args = vec!["-x".to_owned()];
        let worker = NextWorker { host: host.to_owned(), ..NextWorker::new(module, args) };
        argv(&worker, crate::core::Number(7), &config, Path::new("nowcast")).unwrap().join(" ")
    }

    #[test]
    fn a_command_of_its_own_wins_here_and_there() {
        assert_eq!(words("nowcast.workers.run_model", "localhost"), "run here.yaml 7 -x");
        assert_eq!(words("run_model", "robot"), "ssh robot source env.sh ; run there.yaml 7 -x");
    }

    #[test]
    fn what_knows_nothing_of_nowcast_is_reported_for() {
        assert_eq!(words("plot", "localhost"), "nowcast exec plot here.yaml -- ./plot.sh plot -x");
        let there = "ssh robot source env.sh ; nowcast exec plot there.yaml -- ./plot.sh plot -x";
        assert_eq!(words("plot", "robot"), there);
    }

    #[test]
    fn a_built_in_worker_is_ours_here_and_the_peers_there() {
        assert_eq!(words("sleep", "localhost"), "nowcast worker sleep here.yaml -x");
        let there = "ssh robot source env.sh ; py -m nemo_nowcast.workers.sleep there.yaml -x";
        assert_eq!(words("sleep", "robot"), there);
        assert_eq!(words("nemo_nowcast.workers.sleep", "robot"), there);
    }

    #[test]
    fn anything_else_is_a_python_module() {
        assert_eq!(
            words("nowcast.workers.sleep", "localhost"),
            "/env/bin/python -m nowcast.workers.sleep here.yaml -x"
        );
    }
}
