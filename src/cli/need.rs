//! `nowcast need KEY…`

use std::process::ExitCode;

use super::keys;
use super::print;
use super::tell::MessageSender;
use pyyaml::Value;

/// Printed behind the options.
const NOTES: &str = "A text is printed as it is, other values as YAML.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    speaker: MessageSender,
    /// Print this if the checklist has no such key, instead of failing
    #[arg(long, value_name = "TEXT")]
    default: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Keys of the checklist from the top down; for a list, an index from 0
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
