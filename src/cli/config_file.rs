//! Decides for every command which configuration file it reads. It never reads the file.

use std::env;
use std::path::PathBuf;

use nowcast_core::message::CONFIG;

/// The configuration file if neither the command line nor the environment names one.
const DEFAULT: &str = "nowcast.yaml";

/// `--config`, for every command that reads the configuration.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct ConfigFile {
    /// Configuration file [default: $NOWCAST_YAML, else nowcast.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Return the file to read.
    pub(super) fn path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(default)
    }
}

/// The configuration file as first argument, as `NEMO_Nowcast`'s daemons and workers take it, or as `--config`.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct ConfigArgument {
    /// Configuration file, instead of --config
    #[arg(value_name = "CONFIG", conflicts_with = "config")]
    argument: Option<PathBuf>,
    #[command(flatten)]
    option: ConfigFile,
}

impl ConfigArgument {
    /// Return the file to read.
    pub(super) fn path(&self) -> PathBuf {
        self.argument.clone().unwrap_or_else(|| self.option.path())
    }
}

/// Return the file of commands without one.
pub(super) fn default() -> PathBuf {
    // An empty variable counts as unset, as in a shell's ${NOWCAST_YAML:-nowcast.yaml}.
    env::var_os(CONFIG).filter(|file| !file.is_empty()).map_or_else(|| DEFAULT.into(), PathBuf::from)
}
