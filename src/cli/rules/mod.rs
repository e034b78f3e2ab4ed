//! `nowcast rules`: check, test, replay and deploy rules.

mod check;
mod deploy;
mod eval;
mod graph;
mod replay;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::operate::CommonOptions;
use super::{USAGE, print};
use crate::config::Config;
use crate::rules::{Engine, RuleSet};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Find errors in rules before they are in force
    Check(check::Args),
    /// Call rules with given messages and show their results
    Eval(eval::Args),
    /// Show which worker launches which
    Graph(graph::Args),
    /// Run the tests of the rules
    Test(test::Args),
    /// Replay past messages with edited rules and show which launches differ
    Replay(replay::Args),
    /// Deploy edited rules if they load, have no new errors, pass their tests and fail in no new case
    Deploy(deploy::Args),
}

pub(super) fn run(args: &Args) -> ExitCode {
    match &args.command {
        RulesCommand::Check(args) => check::run(args),
        RulesCommand::Eval(args) => eval::run(args),
        RulesCommand::Graph(args) => graph::run(args),
        RulesCommand::Test(args) => test::run(args),
        RulesCommand::Replay(args) => replay::run(args),
        RulesCommand::Deploy(args) => deploy::run(args),
    }
}

/// The options that name the rules.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct RulesOptions {
    #[command(flatten)]
    common: CommonOptions,
    /// Edited rules, instead of those in force
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

impl RulesOptions {
    /// Read the configuration and load the rules. If one is invalid, print why and return the exit status.
    fn load(&self) -> Result<(Config, Engine), ExitCode> {
        let config = self.common.load()?;
        match RuleSet::of(&config).load(self.rules.as_deref()) {
            Ok(engine) => Ok((config, engine)),
            Err(error) => {
                print::complain(&format!("cannot load the rules:\n{error}"));
                Err(ExitCode::from(USAGE))
            }
        }
    }
}
