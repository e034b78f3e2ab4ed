//! `nowcast runner`

use std::ffi::OsString;
use std::path::{self, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::USAGE;
use super::print;
use crate::launch::{RemoteCommands, RunFolder};
use crate::launch::{RunnerTask, runner};

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
    /// Commands that find and stop a worker on a remote host, as JSON
    #[arg(long, value_name = "JSON", value_parser = remote_commands)]
    remote: Option<RemoteCommands>,
    /// Adopt a run on a remote host whose runner has died
    #[arg(long, conflicts_with_all = ["remote", "argv"])]
    adopt: bool,
    /// Command to start
    #[arg(last = true, required_unless_present = "adopt")]
    argv: Vec<OsString>,
}

const EXIT_CODES: &str = "Exit status: 0 if PATH/exit records the end of the run, 73 if the folder cannot be written and \
                          nothing was started, 74 if the end of the run is unknown, 75 if another runner has the run.";

fn remote_commands(text: &str) -> Result<RemoteCommands, serde_json::Error> {
    serde_json::from_str(text)
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
    ExitCode::from(runner::run(&RunnerTask {
        folder: args.mark.iter().fold(folder, RunFolder::marked),
        run: args.run.clone(),
        argv: args.argv.clone(),
        remote: args.remote.clone(),
        is_adoption: args.adopt,
        grace: Duration::from_secs(args.grace),
    }))
}
