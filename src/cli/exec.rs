//! `nowcast exec NAME CONFIG -- COMMAND …`

use std::process::ExitCode;

use super::worker::WorkerOptions;
use crate::launch::print_program_end;
use crate::worker::exec::Exec;
use nowcast_core::Ending;

/// The help text after the options.
const NOTES: &str = "Exit status 0 of the command is reported as success, a status listed in \"workers: NAME: failure \
    status\" as failure, any other as crash. The command can write a payload, YAML or JSON, to the file \
    named in NOWCAST_PAYLOAD. It can write another message type to the file named in NOWCAST_TYPE.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    /// Name of the worker in the message registry
    name: String,
    #[command(flatten)]
    common: WorkerOptions,
    /// Print how the command ended, for a runner on another machine
    #[arg(long, hide = true)]
    print_exit: bool,
    /// Command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    // The runner on another machine learns from the output how the program ended.
    let on_end = if args.print_exit { print_program_end } else { |_: &Ending| () };
    args.common.run(&Exec::new(args.name.clone(), args.command.clone(), on_end))
}
