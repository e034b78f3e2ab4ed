//! `nowcast need KEY…`

use std::process::ExitCode;

use super::keys;
use super::print;
use super::tell::Speaker;
use pyyaml::Value;

/// Prints text as it is, and all else as YAML.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    speaker: Speaker,
    /// What is printed if the checklist has nothing there; without it, that is an error
    #[arg(long, value_name = "TEXT")]
    default: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// The keys from the top of the checklist down; in a list, the place counted from 0
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    // clap asks for one at least.
    let Some((key, below)) = args.keys.split_first() else { return ExitCode::from(super::USAGE) };
    let there = match args.speaker.ask("need", key.as_str().into()) {
        Ok(there) => there,
        Err(status) => return status,
    };
    let found = match there {
        Value::Null if args.speaker.debug => Err(anyhow::anyhow!("with --debug nobody is asked for {key:?}")),
        Value::Null => Err(anyhow::anyhow!("the checklist has nothing under {key:?}")),
        there => keys::pick(&there, key, below),
    };
    match (found, &args.default) {
        (Ok(value), _) => keys::show(&value, args.json),
        (Err(_), Some(default)) => keys::show(&default.as_str().into(), args.json),
        (Err(error), None) => {
            print::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
