//! `nowcast up`

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::manager::Task;
use super::{ConfigFile, USAGE};
use crate::config;
use crate::launch::Environment;
use crate::logging::{self, Logger, Role, Setup};
use crate::net::Signals;
use crate::supervise::{Daemon, Supervisor};
use crate::{broker, manager};

/// The name under which it logs.
const NAME: &str = "up";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    task: Task,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match supervise(args) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(USAGE)
        }
    }
}

fn supervise(args: &Args) -> anyhow::Result<u8> {
    let mut signals = Signals::install()?;
    let file = &args.config.file;
    let environment = defaults(file)?;
    let lookup = |name: &str| {
        let default = environment.iter().find(|(default, _)| default == name).map(|(_, value)| value.clone());
        env::var_os(name).or(default).and_then(|value| value.into_string().ok())
    };
    let (config, _) = config::load_with(file, &lookup)?;
    let (setup, _) = Setup::from_value(&config.logging, Role::Daemon)?;
    logging::install(setup);
    let supervisor = Supervisor::start(daemons(args)?, environment, Logger::new(NAME))?;
    Ok(supervisor.run(&mut signals)?)
}

/// The environment variables that a configuration usually asks for, where they are not set: logs go
/// beside the configuration file, and the environment is the one whose Python is in use.
fn defaults(file: &Path) -> anyhow::Result<Environment> {
    let file = path::absolute(file)?;
    let mut environment = Vec::new();
    if env::var_os("NOWCAST_LOGS").is_none() {
        let logs = file.with_file_name("logs");
        fs::create_dir_all(&logs).with_context(|| format!("the folder {} cannot be made", logs.display()))?;
        environment.push(("NOWCAST_LOGS".to_owned(), logs.into_os_string()));
    }
    if env::var_os("NOWCAST_ENV").is_none() {
        environment.push(("NOWCAST_ENV".to_owned(), python_environment()));
    }
    environment.push(("NOWCAST_YAML".to_owned(), file.into_os_string()));
    Ok(environment)
}

/// The active virtual or conda environment, or the folder above the first `bin/python3` on the path.
fn python_environment() -> OsString {
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().find_map(env::var_os);
    let on_path = || {
        let path = env::var_os("PATH")?;
        let bin = env::split_paths(&path).find(|folder| folder.join("python3").is_file())?;
        bin.parent().map(PathBuf::from).map(PathBuf::into_os_string)
    };
    active.or_else(on_path).unwrap_or_else(|| "/usr".into())
}

fn daemons(args: &Args) -> anyhow::Result<Vec<Daemon>> {
    let program = env::current_exe().context("the path of this program cannot be found out")?;
    let argv = |daemon: &str, task: &[String]| -> Vec<String> {
        let file = args.config.file.to_string_lossy().into_owned();
        let parent = std::process::id().to_string();
        let mut argv = vec![program.to_string_lossy().into_owned(), daemon.to_owned(), file];
        argv.extend(["--end-with".to_owned(), parent]);
        argv.extend_from_slice(task);
        argv
    };
    // Launched once, not again after every restart.
    let (launch, exit) = args.task.to_options();
    let broker = argv("broker", &[]);
    Ok(vec![
        Daemon { name: broker::NAME, first: broker.clone(), again: broker, is_last: false },
        Daemon {
            name: manager::NAME,
            first: argv("manager", &[launch, exit.clone()].concat()),
            again: argv("manager", &[]),
            is_last: !exit.is_empty(),
        },
    ])
}
