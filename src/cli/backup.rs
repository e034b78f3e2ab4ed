//! `nowcast backup`: the journal in one file. It never changes the journal.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::journal::EventView;
use super::operate::CommonOptions;
use super::print;
use super::times::minute;
use crate::config::Config;
use crate::store::journal::{self, Backup};
use jiff::ZonedDateTime;
use nowcast_core::counted::{counted, size};

/// `nowcast backup`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// File to write, outside of the journal's folder
    file: PathBuf,
    /// Replace the file if it exists, once the new backup is whole
    #[arg(long)]
    force: bool,
}

/// A backup. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct BackupView {
    file: PathBuf,
    version: i64,
    bytes: u64,
    sha256: String,
    events: u64,
    runs: u64,
    last_event: Option<EventView>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.load().map_or_else(|status| status, |config| backup(args, &config))
}

fn backup(args: &Args, config: &Config) -> ExitCode {
    let backup = match journal::backup(&config.journal.folder, &args.file, args.force) {
        Ok(backup) => backup,
        Err(error) => {
            print::error(&error);
            return ExitCode::FAILURE;
        }
    };
    let Backup { info, sha256 } = backup;
    let last_event = info.first_and_last.map(|[_, last]| EventView::of(last));
    if args.common.json {
        return print::json(&BackupView {
            file: info.file,
            version: info.version,
            bytes: info.bytes,
            sha256,
            events: info.events,
            runs: info.runs,
            last_event,
        });
    }
    let until = last_event.map_or_else(String::new, |event| {
        format!(", the last one #{} of {}", event.number, minute(event.time, &ZonedDateTime::now()))
    });
    print::text(&format!(
        "backup   {}\nsize     {}\nevents   {}{until}\nruns     {}\nsha256   {sha256}\n",
        info.file.display(),
        size(info.bytes),
        counted(info.events, "event", "events"),
        info.runs,
    ))
}
