//! `nowcast fetch URL FILE`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue};

use super::{USAGE, print};
use crate::config;
use crate::worker::fetch::{Fetch, FetchError, Pauses, remove_part_on_signals};

/// The help text after the options.
const NOTES: &str = "A refused request is retried after 2, 4, 8 … 256 seconds, for about an hour, since the file may not \
    exist yet. FILE appears under its name once it is complete.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    /// URL to download
    url: String,
    /// File to write
    file: PathBuf,
    /// Request header, or a file with one on each line, which other users do not see in the process list; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE|@FILE", value_parser = headers)]
    headers: Vec<Headers>,
    /// Most bytes of the file, such as 500M or 20G
    #[arg(long, value_name = "SIZE", default_value = "10G", value_parser = size)]
    max_size: u64,
    /// Time limit of one attempt
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = positive_duration)]
    timeout: Duration,
    /// Pause before the second attempt; doubled each time
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = positive_duration)]
    pause: Duration,
    /// Longest pause
    #[arg(long, value_name = "DURATION", default_value = "256s", value_parser = positive_duration)]
    longest_pause: Duration,
    /// Stop when the pauses together exceed this
    #[arg(long = "give-up", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    abandon_after: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration::parse(text).map(jiff::SignedDuration::unsigned_abs)
}

/// Read a duration above zero.
fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("the duration must be above zero".to_owned()) } else { Ok(duration) }
}

/// Headers of one option.
#[derive(Debug, Clone)]
struct Headers(Vec<(String, String)>);

fn headers(text: &str) -> Result<Headers, String> {
    let Some(file) = text.strip_prefix('@') else { return header(text).map(|header| Headers(vec![header])) };
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(header).collect::<Result<_, _>>().map(Headers)
}

/// Read a number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'M', 'G']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) if text.ends_with('M') => (digits, 1_000_000),
        Some(digits) => (digits, 1_000_000_000),
        None => (text, 1),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| "write a number of bytes, such as 500M or 20G".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write a header as NAME: VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    name.parse::<HeaderName>().map_err(|_| {
        format!("invalid header name {name:?}; use letters, digits and hyphens, without spaces")
    })?;
    HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is not one line of text"))?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(args: &Args) -> ExitCode {
    let pauses = Pauses { first: args.pause, longest: args.longest_pause, total: args.abandon_after };
    let fetch = Fetch {
        url: args.url.clone(),
        file: args.file.clone(),
        headers: args.headers.iter().flat_map(|headers| headers.0.clone()).collect(),
        max_size: args.max_size,
        timeout: args.timeout,
        pauses,
    };
    // Without it, the next download removes what a signal leaves.
    let _ = remove_part_on_signals();
    match fetch.run(&mut |line| print::complain(&line)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            print::complain(&error.to_string());
            match error {
                FetchError::Permanent(_) => ExitCode::from(USAGE),
                FetchError::GaveUp { .. } => ExitCode::FAILURE,
            }
        }
    }
}
