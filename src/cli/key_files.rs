//! `nowcast keys`: makes the key files of `security: curve:`. It never replaces one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::operate::CommonOptions;
use super::{USAGE, print};
use crate::config::{Config, CurveSettings};
use crate::net::curve::{self, CurveServer};

/// The folder beside the configuration file, if the configuration names none.
const DEFAULT_FOLDER: &str = "keys";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The keys are made in the folder of `security: curve: keys:`, or in `keys` beside the configuration file. Existing files are not changed. \
On the broker's machine the folder has all files. On other machines put `broker.key`, `logging.key_secret` and the files of their own client. \
A client may connect while its public key is in the folder `authorized` of the broker's machine; SIGHUP makes the broker read that folder again.")]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Name of the client; by default that of `security: curve: client:`
    #[arg(long, value_name = "NAME", value_parser = client_name)]
    client: Option<String>,
}

fn client_name(text: &str) -> Result<String, String> {
    let is_name = text.chars().all(|letter| letter.is_alphanumeric() || ".-_".contains(letter));
    if text.is_empty() || text.starts_with('.') || !is_name {
        return Err("use letters, digits, `.`, `-` and `_`, and no dot at the start".to_owned());
    }
    if [CurveServer::Broker, CurveServer::Logging].iter().any(|server| server.name() == text) {
        return Err("the keys of a server have this name; choose another".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let mut settings = config.zmq.curve.clone().unwrap_or_else(|| default_settings(&config));
    if let Some(client) = &args.client {
        settings.client.clone_from(client);
    }
    match curve::make_keys(&settings) {
        Ok(made) => {
            let files = KeyFiles { folder: &settings.folder, made };
            if args.common.json { print::json(&files) } else { print::text(&files.to_text(&config)) }
        }
        Err(error) => {
            print::error(&error);
            ExitCode::from(USAGE)
        }
    }
}

fn default_settings(config: &Config) -> CurveSettings {
    let folder = config.file.parent().unwrap_or(Path::new("")).join(DEFAULT_FOLDER);
    CurveSettings { folder, client: "client".to_owned() }
}

/// The key files. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct KeyFiles<'a> {
    folder: &'a Path,
    made: Vec<PathBuf>,
}

impl KeyFiles<'_> {
    fn to_text(&self, config: &Config) -> String {
        let mut text = String::new();
        for file in &self.made {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "made {}", file.display());
        }
        if self.made.is_empty() {
            let _ = writeln!(text, "all key files are in {}", self.folder.display());
        }
        if config.zmq.curve.is_none() {
            let _ = writeln!(
                text,
                "\nAdd this to {}, then restart all daemons:\n\nsecurity:\n  curve: {{keys: {}}}",
                config.file.display(),
                self.folder.display()
            );
        }
        text
    }
}
