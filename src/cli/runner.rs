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
    /// The run's folder, made if need be
    #[arg(long, value_name = "PATH")]
    folder: PathBuf,
    /// The run's number, which the worker finds in `NOWCAST_RUN_ID`
    #[arg(long, value_name = "ID")]
    run: String,
    /// A file that is made when the run is taken on, and stays when its folder is removed
    #[arg(long, value_name = "FILE")]
    mark: Option<PathBuf>,
    /// How long a worker may take to end after SIGTERM before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = runner::GRACE.as_secs())]
    grace: u64,
    /// Commands that find and stop a worker on a remote host, as JSON
    #[arg(long, value_name = "JSON", value_parser = remote_commands)]
    remote: Option<RemoteCommands>,
    /// Adopt a run on a remote host whose runner has died
    #[arg(long, conflicts_with_all = ["remote", "argv"])]
    adopt: bool,
    /// The command line that is started here
    #[arg(last = true, required_unless_present = "adopt")]
    argv: Vec<OsString>,
}

const EXIT_CODES: &str = "Exit status: 0 when the end of the run is on record in PATH/exit, 73 when the folder cannot \
                          be written and nothing was started, 74 when the end of the run was lost, 75 when another \
                          runner has the run.";

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
