//! `WORKER ARGS…` and `RUN ARGS…`: everything after the first word belongs to the worker, even if it looks like an option.

use std::process::ExitCode;

use super::{USAGE, print};

/// Return the first word and the rest. An option before the first word is unknown to the command, so it is an error.
///
/// clap would find our options between the worker's arguments, so one list takes all words.
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
