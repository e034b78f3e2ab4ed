//! `nowcast rules eval`: rules called with cases.

use std::process::ExitCode;

use super::Which;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let _ = args.which.load();
    ExitCode::SUCCESS
}
