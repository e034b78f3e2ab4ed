//! `nowcast send WORKER TYPE [PAYLOAD]`

use std::process::ExitCode;

use super::operate::{CommonOptions, user};
use super::print;
use super::{cycle_option, dry_run};
use nowcast_core::{Command, CycleOption};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Cycle of the message, or none; it reports only for a run of that cycle
    #[arg(long, value_name = "ID|none", value_parser = cycle_option::option)]
    cycle: Option<CycleOption>,
    /// Only show the decision of the manager; send nothing
    #[arg(long)]
    dry_run: bool,
    /// Worker that the message is from
    worker: String,
    /// Message type
    #[arg(value_name = "TYPE")]
    r#type: String,
    /// Payload as YAML
    #[arg(default_value = "null")]
    payload: String,
}

pub(super) fn run(args: &Args) -> ExitCode {
    if let Err(error) = pyyaml::read(&args.payload) {
        print::complain(&format!("the payload is not valid YAML: {error}"));
        return ExitCode::from(super::USAGE);
    }
    let cycle = match cycle_option::chosen(args.cycle.as_ref(), &args.common) {
        Ok(cycle) => cycle,
        Err(status) => return status,
    };
    let command = Command::Send {
        source: args.worker.clone(),
        r#type: args.r#type.clone(),
        payload: args.payload.clone(),
        cycle,
    };
    if !args.dry_run {
        return args.common.ask(command);
    }
    args.common.view(|context| dry_run::show(context, command, user(), args.common.json))
}
