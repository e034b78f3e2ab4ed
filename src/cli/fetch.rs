//! `nowcast fetch URL FILE`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue};

use super::{USAGE, print};
use crate::config::duration;
use crate::worker::fetch::{Fetch, FetchError, Pauses};

/// Printed behind the options.
const NOTES: &str = "A refused request is repeated after 2, 4, 8 … 256 seconds, for about an hour: the file may not \
    be there yet. The file appears under its name once it is complete.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    /// URL to download
    url: String,
    /// File to write
    file: PathBuf,
    /// Request header; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Time limit of one attempt
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    timeout: Duration,
    /// Pause before the second attempt; doubled each time
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = span)]
    pause: Duration,
    /// Longest pause
    #[arg(long, value_name = "SPAN", default_value = "256s", value_parser = span)]
    longest_pause: Duration,
    /// Stop when the pauses together exceed this
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = any_span)]
    give_up: Duration,
}

fn any_span(text: &str) -> Result<Duration, String> {
    duration::parse(text).map(jiff::SignedDuration::unsigned_abs)
}

/// A span that is longer than nothing.
fn span(text: &str) -> Result<Duration, String> {
    let span = any_span(text)?;
    if span.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(span) }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written as NAME: VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    name.parse::<HeaderName>().map_err(|_| {
        format!("{name:?} is no name of a header; it has letters, digits and hyphens, but no spaces")
    })?;
    HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is not one line of text"))?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(args: &Args) -> ExitCode {
    let pauses = Pauses { first: args.pause, longest: args.longest_pause, together: args.give_up };
    let fetch = Fetch {
        url: args.url.clone(),
        file: args.file.clone(),
        headers: args.headers.clone(),
        timeout: args.timeout,
        pauses,
    };
    match fetch.run(&mut |line| print::complain(&line)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            print::complain(&error.to_string());
            match error {
                FetchError::Useless(_) => ExitCode::from(USAGE),
                FetchError::GaveUp { .. } => ExitCode::FAILURE,
            }
        }
    }
}
