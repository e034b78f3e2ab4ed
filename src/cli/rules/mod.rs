//! `nowcast rules`: the rules before they go live.

mod check;
mod deploy;
mod eval;
mod graph;
mod replay;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::operate;
use super::{ConfigFile, USAGE, print};
use crate::config::Config;
use crate::rules::{Engine, RuleSet};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look for what is wrong in rules before they are in force
    Check(check::Args),
    /// Call rules with cases and show what they answer
    Eval(eval::Args),
    /// Show who launches whom
    Graph(graph::Args),
    /// Run the rules' own tests
    Test(test::Args),
    /// Put the messages of the past through rules and show what would be launched otherwise
    Replay(replay::Args),
    /// Put edited rules in force once they pass: they load, have no new errors, their tests pass, and no rule fails that did not
    Deploy(deploy::Args),
}

pub(super) fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Check(args) => check::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Graph(args) => graph::run(args),
        Command::Test(args) => test::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Deploy(args) => deploy::run(args),
    }
}

/// Which rules are meant.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct Which {
    #[command(flatten)]
    config: ConfigFile,
    /// Edited rules, taken as if they stood in the place of those that the configuration names
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

impl Which {
    /// Reads the configuration and loads the rules; what cannot be used is said, and is the end.
    fn load(&self) -> Result<(Config, Engine), ExitCode> {
        let config = operate::load(&self.config.file)?;
        match RuleSet::of(&config).load(self.rules.as_deref()) {
            Ok(engine) => Ok((config, engine)),
            Err(error) => {
                print::complain(&format!("the rules cannot be used:\n{error}"));
                Err(ExitCode::from(USAGE))
            }
        }
    }
}
