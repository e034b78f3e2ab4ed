//! Checks whether the programs and Python modules that workers need are on this machine. It never starts a worker.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access};

use super::bounded;
use crate::config::Config;
use crate::launch;
use crate::rules::RuleSet;
use crate::worker;
use nowcast_core::next_worker::{LOCALHOST, last_part};

/// The time limit for Python to find all modules.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The script that prints each of its arguments that Python cannot import. A package whose search fails cannot be
/// imported either.
const FIND_MODULES: &str = "
import importlib.util, sys
for name in sys.argv[1:]:
    try:
        found = importlib.util.find_spec(name) is not None
    except Exception:
        found = False
    if not found:
        print('missing:', name)
";

/// A program, folder or module that a worker needs and this machine lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The keys that lead to its name, for people: `workers: get_obs: exec`. Entries of lists count from 1.
    pub key: String,
    /// The same keys, to find the line in the file. Entries of lists count from 0.
    pub place: String,
    /// What is missing, and what to do.
    pub text: String,
    /// Whether the worker certainly runs on this machine: it is scheduled without a host, or there are no other hosts.
    pub is_certain: bool,
}

/// Return the missing programs and scripts, then the missing working folders, then the missing Python modules.
pub(super) fn missing(config: &Config) -> Vec<Missing> {
    let mut missing = programs(config);
    missing.extend(folders(config));
    missing.extend(modules(config));
    missing
}

fn programs(config: &Config) -> Vec<Missing> {
    let mut missing = Vec::new();
    for (worker, settings) in &config.workers {
        let Some(program) = launch::worker_program(config, worker) else { continue };
        let script = launch::worker_script(config, worker).filter(|script| !Path::new(script).exists());
        let text = match script {
            _ if !is_found(&program) => {
                let why =
                    if program.contains('/') { "the program does not exist" } else { "it is not in PATH" };
                format!("cannot run `{program}`: {why}; install it, make it executable, or correct the name")
            }
            Some(script) => format!(
                "`{program}` cannot read `{script}`: the file does not exist; create it, or correct the name"
            ),
            None => continue,
        };
        let key = if settings.command.is_some() { "command" } else { "exec" };
        let key = format!("workers: {worker}: {key}");
        missing.push(Missing {
            place: key.clone(),
            key,
            text,
            is_certain: is_certainly_here(config, worker),
        });
    }
    missing
}

fn folders(config: &Config) -> Vec<Missing> {
    let is_missing =
        |worker: &&String| launch::working_folder(config, worker).is_some_and(|folder| !folder.is_dir());
    let missing = |worker: &String| {
        let key = format!("workers: {worker}: folder");
        let text = "the working folder does not exist; make it, or correct the name".to_owned();
        Missing { place: key.clone(), key, text, is_certain: is_certainly_here(config, worker) }
    };
    config.workers.keys().filter(is_missing).map(missing).collect()
}

fn is_certainly_here(config: &Config, worker: &str) -> bool {
    config.hosts.is_empty() || is_scheduled_here(config, worker)
}

fn is_scheduled_here(config: &Config, worker: &str) -> bool {
    let mut scheduled = config.scheduled.iter();
    scheduled.any(|entry| is_here(entry.host.as_deref()) && entry.name() == worker)
}

fn is_here(host: Option<&str>) -> bool {
    host.is_none_or(|host| host == LOCALHOST)
}

/// Return whether a launch would find the program: by its path, or in PATH if its name has no slash.
fn is_found(program: &str) -> bool {
    let is_program = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        return is_program(Path::new(program));
    }
    // Without PATH, the C library searches these folders.
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&path).any(|folder| is_program(&folder.join(program)))
}

/// Ask the configured Python for all modules in one process. A Python that does not run counts as one missing program.
fn modules(config: &Config) -> Vec<Missing> {
    let Some(python) = &config.python else { return Vec::new() };
    let modules = modules_here(config);
    if modules.is_empty() {
        return Vec::new();
    }
    let program = [python, "-c", FIND_MODULES].map(str::to_owned).into_iter();
    let argv: Vec<String> = program.chain(modules.keys().cloned()).collect();
    let output = match bounded::run(&argv, TIMEOUT) {
        Ok(output) => output,
        Err(why) => {
            let text = format!("cannot run `{python}`, which {} Python workers need: {why}", modules.len());
            let key = "python".to_owned();
            return vec![Missing { place: key.clone(), key, text, is_certain: true }];
        }
    };
    let missing = output.lines().filter_map(|line| line.strip_prefix("missing: "));
    missing
        .filter_map(|module| Some((module, modules.get(module)?)))
        .map(|(module, named)| Missing {
            key: named.key.clone(),
            place: named.place.clone(),
            text: format!(
                "`{python}` cannot find module `{module}`; install its package there, correct the name, or give the worker \
                 a program in `workers:`"
            ),
            is_certain: named.is_certain,
        })
        .collect()
}

/// A place where the configuration names a module: `key`, `place` and `is_certain` as in [`Missing`].
struct NamedModule {
    key: String,
    place: String,
    is_certain: bool,
}

/// Return the Python modules that are known before a launch: those of the schedule, and, if there are no other hosts, those of registered
/// workers, if they have a package or rules launch them by their bare names.
fn modules_here(config: &Config) -> BTreeMap<String, NamedModule> {
    let mut modules = BTreeMap::new();
    if config.hosts.is_empty() {
        let package = config.registry.workers_package.as_ref();
        let rules = if package.is_none() { rules_text(config) } else { String::new() };
        let workers = config.registry.workers.keys().filter(|worker| worker::built_in(worker).is_none());
        for worker in workers.filter(|worker| package.is_some() || is_launched(worker, &rules)) {
            let key = format!("message registry: workers: {worker}");
            let named = NamedModule { place: key.clone(), key, is_certain: false };
            let module = package.map_or_else(|| worker.clone(), |package| format!("{package}.{worker}"));
            modules.insert(module, named);
        }
    }
    for (index, entry) in config.scheduled.iter().enumerate() {
        if is_here(entry.host.as_deref()) {
            let module = &entry.module;
            let key = format!("scheduled workers: entry {}: {module}", index + 1);
            let place = format!("scheduled workers: {index}: {module}");
            let named = NamedModule { key, place, is_certain: true };
            modules.insert(entry.module.clone(), named);
        }
    }
    modules.retain(|module, _| {
        let name = last_part(module);
        worker::built_in(module).is_none() && launch::worker_program(config, name).is_none()
    });
    modules
}

/// Return whether rules launch a worker by its bare name, so that it is its module. Others may only report, or rules name their modules in full.
fn is_launched(worker: &str, rules: &str) -> bool {
    let launches = ["NextWorker", "worker"]
        .into_iter()
        .flat_map(|function| ['"', '\''].map(|quote| format!("{function}({quote}{worker}{quote}")));
    let code = || rules.lines().map(|line| line.split("--").next().unwrap_or_default());
    launches.into_iter().any(|launch| code().any(|line| line.contains(&launch)))
}

/// Return the texts of the rules' files; nothing if they cannot be loaded, which has a message of its own.
fn rules_text(config: &Config) -> String {
    let Ok(engine) = RuleSet::of(config).load(None) else { return String::new() };
    engine.files().iter().map(|file| file.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_launch_finds_it() {
        assert!(is_found("sh") && is_found("/bin/sh"));
        assert!(!is_found("no-such-program") && !is_found("/no/such/program"));
        assert!(!is_found("/bin"), "a folder is not a program");
        assert!(!is_found("/etc/passwd"), "a file must be executable");
    }
}
