//! The environment variables that a configuration usually asks for, where they are not set.
//!
//! So a system can be tried with nothing but its folder, and the operators' commands find what `nowcast up`
//! found.

use std::env;
use std::ffi::OsString;
use std::path::{self, Path, PathBuf};

use crate::launch::Environment;

/// What is not set: logs go beside the configuration file, and the environment is the one whose Python is
/// in use.
pub(super) fn defaults(file: &Path) -> std::io::Result<Environment> {
    let file = path::absolute(file)?;
    let mut environment = Vec::new();
    if env::var_os("NOWCAST_LOGS").is_none() {
        environment.push(("NOWCAST_LOGS".to_owned(), file.with_file_name("logs").into_os_string()));
    }
    if env::var_os("NOWCAST_ENV").is_none() {
        environment.push(("NOWCAST_ENV".to_owned(), python_environment()));
    }
    environment.push(("NOWCAST_YAML".to_owned(), file.into_os_string()));
    Ok(environment)
}

/// The environment with the defaults, for reading a configuration.
pub(super) fn with_defaults(file: &Path) -> impl Fn(&str) -> Option<String> {
    // Without the current folder's name there are no defaults, and the configuration says what it lacks.
    lookup(defaults(file).unwrap_or_default())
}

/// The environment with these defaults.
pub(super) fn lookup(defaults: Environment) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let default = || defaults.iter().find(|(default, _)| default == name).map(|(_, value)| value.clone());
        env::var_os(name).or_else(default).and_then(|value| value.into_string().ok())
    }
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
