//! `nowcast need KEY…`

use std::process::ExitCode;

use super::keys;
use super::print;
use super::tell::MessageSender;
use pyyaml::Value;

/// The help text after the options.
const NOTES: &str = "Text is printed without quotes, other values as YAML.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    sender: MessageSender,
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
    // clap requires at least one.
    let Some((key, below)) = args.keys.split_first() else { return ExitCode::from(super::USAGE) };
    let value = match args.sender.send("need", key.as_str().into()) {
        Ok(value) => value,
        Err(status) => return status,
    };
    let found = match value {
        Value::Null if args.sender.debug => {
            Err(anyhow::anyhow!("--debug asks no manager for {key:?}; use --default to print a value"))
        }
        Value::Null => Err(anyhow::anyhow!("the checklist has no {key:?}")),
        value => keys::pick(&value, key, below),
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
