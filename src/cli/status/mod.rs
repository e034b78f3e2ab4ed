//! `nowcast status`: items that need attention, running and pending runs, joins and holds. It must never need a manager.

mod show;
mod watch;

use std::process::ExitCode;

use super::operate::CommonOptions;
use super::table::Table;
use super::terminal::Terminal;
use super::{cycle_option, print};
use crate::clock::MachineClock;
use crate::config::Config;
use crate::view::daemons::Daemons;
use crate::view::system::{Health, SystemView};
use nowcast_core::Cycle;
use show::StatusPage;

const EXIT_CODES: &str = "Exit status: 0 if the system is healthy, 1 if it is degraded or down, 2 if the configuration is \
                          invalid.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Show only what concerns this cycle
    #[arg(long, value_name = "ID", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
    /// Refresh every second until Ctrl-C
    #[arg(short, long, conflicts_with = "json")]
    watch: bool,
    /// Show only the daemons; exit with 1 if one is not up
    #[arg(long, conflicts_with_all = ["watch", "cycle"])]
    daemons: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    if args.watch {
        return watch::run(args);
    }
    if args.daemons {
        return args.common.load().map_or_else(|status| status, |config| show_daemons(args, &config));
    }
    let time = MachineClock::new().read();
    let view = match args.common.load() {
        Ok(config) => SystemView::gather(&config, &time, args.cycle.as_ref()),
        Err(status) => return status,
    };
    let printed = if args.common.json {
        print::json(&view)
    } else {
        let page = StatusPage { now: &time.wall, terminal: &Terminal::of_stdout() }.lines(&view);
        print::lines(&page)
    };
    if view.state == Health::Healthy { printed } else { ExitCode::FAILURE }
}

fn show_daemons(args: &Args, config: &Config) -> ExitCode {
    let daemons = Daemons::gather(config);
    let printed = if args.common.json {
        print::json(&daemons)
    } else {
        let mut table = Table::new(&["DAEMON", "STATE"]);
        for daemon in &daemons.all {
            let state = daemon.reason.clone().unwrap_or_else(|| "running".to_owned());
            table.row([daemon.name, &state]);
        }
        print::table(&table)
    };
    if daemons.up() == daemons.all.len() { printed } else { ExitCode::FAILURE }
}
