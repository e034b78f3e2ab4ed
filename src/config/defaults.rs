//! Defaults of the environment variables that a configuration usually uses, the same for every command.
//!
//! A system can be tried with nothing but its folder, and daemons, workers and operators find the same files however
//! they are started.

use std::env;
use std::ffi::OsString;
use std::path::{self, Path, PathBuf};

/// Environment variables with their values.
pub type Variables = Vec<(String, OsString)>;

/// The environment variable with the folder of the log files.
pub const LOGS: &str = "NOWCAST_LOGS";

/// Return `NOWCAST_YAML` for the file, and the others if they are not set: logs go beside the configuration file, and
/// the environment is that of the Python in use.
#[must_use]
pub fn defaults(file: &Path) -> Variables {
    let file = path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut environment = Vec::new();
    if env::var_os(LOGS).is_none() {
        environment.push((LOGS.to_owned(), file.with_file_name("logs").into_os_string()));
    }
    if env::var_os("NOWCAST_ENV").is_none() {
        environment.push(("NOWCAST_ENV".to_owned(), python_environment()));
    }
    environment.push(("NOWCAST_YAML".to_owned(), file.into_os_string()));
    environment
}

/// Return a lookup in the environment with the defaults, for reading a configuration.
pub fn with_defaults(file: &Path) -> impl Fn(&str) -> Option<String> {
    lookup(defaults(file))
}

/// Return a lookup in the environment with these defaults.
pub fn lookup(defaults: Variables) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let default = || defaults.iter().find(|(default, _)| default == name).map(|(_, value)| value.clone());
        env::var_os(name).or_else(default).and_then(|value| value.into_string().ok())
    }
}

/// Return the active virtual or conda environment, or the folder above the first `bin/python3` in `PATH`.
fn python_environment() -> OsString {
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().find_map(env::var_os);
    let on_path = || {
        let path = env::var_os("PATH")?;
        let bin = env::split_paths(&path).find(|folder| folder.join("python3").is_file())?;
        bin.parent().map(PathBuf::from).map(PathBuf::into_os_string)
    };
    active.or_else(on_path).unwrap_or_else(|| "/usr".into())
}
