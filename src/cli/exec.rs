//! `nowcast exec NAME CONFIG -- COMMAND …`

use std::process::ExitCode;

use crate::worker::exec::Exec;
use crate::worker::{self, Common};

/// The command's exit status tells how it went: 0 is a success, a status of `workers: NAME: failure status:` a failure,
/// everything else a crash. It can write the payload, YAML or JSON, to the file named in `NOWCAST_PAYLOAD`, and a message
/// type other than success or failure to the one named in `NOWCAST_TYPE`.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The worker's name in the message registry
    name: String,
    #[command(flatten)]
    common: Common,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    worker::run(&Exec::new(args.name.clone(), args.command.clone()), &args.common)
}
