//! `nowcast runner`

use std::ffi::OsString;
use std::path::{self, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::USAGE;
use super::print;
use crate::config::StartSettings;
use crate::launch::{ExecWorker, RemoteCommands, RunFolder, RunnerTask, Streams, runner};
use crate::open_files;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    /// Folder of the run, created if missing
    #[arg(long, value_name = "PATH")]
    folder: PathBuf,
    /// Number of the run, passed to the worker as `NOWCAST_RUN_ID`
    #[arg(long, value_name = "ID")]
    run: String,
    /// File to create when the runner claims the run; it stays when the folder is removed
    #[arg(long, value_name = "FILE")]
    mark: Option<PathBuf>,
    /// Seconds between SIGTERM and SIGKILL
    #[arg(long, value_name = "SECONDS", default_value_t = runner::GRACE.as_secs())]
    grace: u64,
    /// Execute the program of this worker and report how it ended, by the worker's name and the configuration file
    #[arg(long, value_names = ["NAME", "CONFIG"], num_args = 2, conflicts_with = "remote")]
    exec: Option<Vec<OsString>>,
    /// Commands that find and stop a worker on a remote host, as JSON
    #[arg(long, value_name = "JSON", value_parser = remote_commands)]
    remote: Option<RemoteCommands>,
    /// Working folder, umask, priority and memory limit of the worker, as JSON
    #[arg(long, value_name = "JSON", value_parser = start_settings)]
    start: Option<StartSettings>,
    /// Adopt a run whose runner has died: on a remote host, or whose program ended before its report was made
    #[arg(long, conflicts_with_all = ["exec", "remote", "start", "argv"])]
    adopt: bool,
    /// Seconds for which the start is tried again while the system has no process, memory or descriptor for it
    #[arg(long, value_name = "SECONDS", default_value_t = runner::START_TIMEOUT.as_secs())]
    start_timeout: u64,
    /// Limit of open files for the worker, if the manager has a higher one
    #[arg(long, value_name = "N")]
    open_files: Option<u64>,
    /// Command to start
    #[arg(last = true, required_unless_present = "adopt")]
    argv: Vec<OsString>,
}

const EXIT_CODES: &str = "Exit status: 0 if PATH/exit records the end of the run, 71 if the system has no process, \
                          thread or descriptor and nothing was started, 73 if the folder cannot be written and nothing \
                          was started, 74 if the end of the run is unknown, 75 if another runner has the run.";

fn remote_commands(text: &str) -> Result<RemoteCommands, serde_json::Error> {
    serde_json::from_str(text)
}

fn start_settings(text: &str) -> Result<StartSettings, serde_json::Error> {
    serde_json::from_str(text)
}

fn exec_worker(words: &[OsString]) -> Option<ExecWorker> {
    // clap requires both.
    let [name, config] = words else { return None };
    Some(ExecWorker { name: name.to_string_lossy().into_owned(), config: config.into() })
}

pub(super) fn run(args: &Args) -> ExitCode {
    let folder = match path::absolute(&args.folder) {
        Ok(folder) => folder,
        Err(error) => {
            print::complain(&format!("{}: {error}", args.folder.display()));
            return ExitCode::from(USAGE);
        }
    };
    let folder = RunFolder::new(folder, &args.run);
    if args.open_files.is_some() {
        // A worker with the limit of the manager can open more files, not fewer.
        let _ = open_files::set_limit(args.open_files);
    }
    ExitCode::from(runner::run(&RunnerTask {
        folder: args.mark.iter().fold(folder, RunFolder::with_claim_mark),
        run: args.run.clone(),
        argv: args.argv.clone(),
        exec: args.exec.as_deref().and_then(exec_worker),
        remote: args.remote.clone(),
        start: args.start.clone().unwrap_or_default(),
        is_adoption: args.adopt,
        grace: Duration::from_secs(args.grace),
        start_timeout: Duration::from_secs(args.start_timeout),
        streams: Streams::of_process(),
    }))
}
