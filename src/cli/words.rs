//! `WORKER ARGS…` and `RUN ARGS…`: everything after the first word belongs to the worker, also what looks like an option.

use std::process::ExitCode;

use super::{USAGE, print};

/// Return the first word and the rest; an option that the command does not have is an error.
///
/// clap would take options of ours from between the arguments, so one list takes all of them.
pub(super) fn split<'a>(command: &str, words: &'a [String]) -> Result<(&'a str, &'a [String]), ExitCode> {
    match words.split_first() {
        Some((first, rest)) if !first.starts_with('-') => Ok((first, rest)),
        first => {
            let option = first.map(|(option, _)| option.as_str()).unwrap_or_default();
            print::complain(&format!("unknown option {option:?}; see \"nowcast {command} --help\""));
            Err(ExitCode::from(USAGE))
        }
    }
}
