//! `nowcast rules`: the rules before they go live.

mod eval;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Call rules with cases and show what they answer
    Eval(eval::Args),
}

pub(super) fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Eval(args) => eval::run(args),
    }
}
