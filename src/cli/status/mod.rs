//! `nowcast status`: what needs attention, what runs, what waits. It works beside a manager and without one.

mod show;

use std::process::ExitCode;
use std::time::Duration;

use jiff::ZonedDateTime;

use super::operate::Common;
use super::print;
pub(super) use crate::view::attention::needs;
use crate::view::system::{Health, Status};

/// How often `-w` looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

const EXIT_CODES: &str = "Exit status: 0 when the system is healthy, 1 when it is degraded or down, 2 when the configuration \
                          is invalid.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Refresh every second until Ctrl-C
    #[arg(short, long, conflicts_with = "json")]
    watch: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    if args.watch {
        return watch(args);
    }
    let status = match args.common.load() {
        Ok(config) => Status::gather(&config, &ZonedDateTime::now()),
        Err(status) => return status,
    };
    let printed = if args.common.json {
        print::json(&status)
    } else {
        print::text(&status.to_text(&ZonedDateTime::now()))
    };
    if status.state == Health::Healthy { printed } else { ExitCode::FAILURE }
}

fn watch(args: &Args) -> ExitCode {
    loop {
        // Read each time: it may be repaired meanwhile.
        let config = match args.common.load() {
            Ok(config) => config,
            Err(status) => return status,
        };
        let now = ZonedDateTime::now();
        let text = print::clean(&Status::gather(&config, &now).to_text(&now));
        // Over the page of before, each line and the page to their ends, so that nothing flickers.
        let page = format!("\u{1b}[H{}\u{1b}[J", text.replace('\n', "\u{1b}[K\n"));
        if let Err(error) = print::write(page.as_bytes()) {
            return print::status(Err(error));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}
