//! `nowcast`: the command.

use std::process::ExitCode;

fn main() -> ExitCode {
    nowcast::cli::run()
}
