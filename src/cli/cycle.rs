//! `nowcast cycle`: cancels, resumes or skips a cycle.

use std::process::ExitCode;

use super::cycle_option;
use super::operate::CommonOptions;
use nowcast_core::{Command, Cycle};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Stop the runs of a cycle, discard its pending launches and joins, and park its later launches
    Cancel(ReasonArgs),
    /// Continue a cancelled or skipped cycle: launch what was parked
    Resume(CycleArgs),
    /// Let no limit wait for a cycle that will not be done; stop nothing
    Skip(ReasonArgs),
}

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct CycleArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Cycle
    #[arg(value_name = "ID", value_parser = cycle_option::label)]
    cycle: Cycle,
}

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct ReasonArgs {
    #[command(flatten)]
    about: CycleArgs,
    /// Reason, kept in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match args.action.clone() {
        Action::Cancel(ReasonArgs { about: CycleArgs { common, cycle }, reason }) => {
            common.ask(Command::CancelCycle { cycle, reason })
        }
        Action::Resume(CycleArgs { common, cycle }) => common.ask(Command::ResumeCycle { cycle }),
        Action::Skip(ReasonArgs { about: CycleArgs { common, cycle }, reason }) => {
            common.ask(Command::SkipCycle { cycle, reason })
        }
    }
}
