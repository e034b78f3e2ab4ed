//! `nowcast rules eval`: rules called with cases.

use std::process::ExitCode;

use crate::cli::operate::Common;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let _ = &args.common;
    ExitCode::SUCCESS
}
