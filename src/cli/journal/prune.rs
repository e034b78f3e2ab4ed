//! `nowcast journal prune`: removes what is old now, by the manager while one runs.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::SignedDuration;
use serde::Serialize;

use super::{CommonOptions, open};
use crate::cli::print;
use crate::cli::read_only::ViewContext;
use crate::config::duration;
use crate::launch::old_runs;
use crate::store::journal::{self, AgeLimits, OldEntries, RemovedEntries};
use nowcast_core::counted::{counted, size};
use nowcast_core::{Command, Number};

/// `nowcast journal prune`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Remove entries that are older [default: "journal: keep:"]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    keep: Option<SignedDuration>,
    /// Remove outputs of runs that are older [default: "journal: keep outputs:"]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    keep_outputs: Option<SignedDuration>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is old. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct OldView {
    events: u64,
    runs: u64,
    /// About the bytes of both.
    bytes: u64,
    /// Runs with outputs.
    outputs: u64,
    outputs_bytes: u64,
}

impl OldView {
    pub(super) fn gather(limits: &AgeLimits, context: &ViewContext) -> anyhow::Result<Self> {
        let entries = limits
            .entries
            .map_or_else(|| Ok(OldEntries::default()), |before| context.history.old_entries(before))?;
        let (mut outputs, mut outputs_bytes) = (0, 0);
        if let Some(before) = limits.outputs {
            let old = context.history.old_outputs(before)?;
            let folders = old_runs::folders(&context.config.journal.runs_folder());
            for (_, folder) in folders.filter(|(run, _)| old.contains(Number(*run))) {
                outputs += 1;
                outputs_bytes += old_runs::size(&folder);
            }
        }
        Ok(Self { events: entries.events, runs: entries.runs, bytes: entries.bytes, outputs, outputs_bytes })
    }
}

impl fmt::Display for OldView {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, runs, bytes, outputs, outputs_bytes } = self;
        let (events, runs) = (counted(*events, "event", "events"), counted(*runs, "run", "runs"));
        let outputs = counted(*outputs, "run", "runs");
        write!(
            out,
            "{events} and {runs} (about {}), outputs of {outputs} ({})",
            size(*bytes),
            size(*outputs_bytes)
        )
    }
}

/// What was removed. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct PruneView {
    file: PathBuf,
    removed_events: u64,
    removed_runs: u64,
    freed_bytes: u64,
    removed_outputs: u64,
    removed_outputs_bytes: u64,
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        let mut settings = context.config.journal.clone();
        settings.keep = args.keep.or(settings.keep);
        settings.keep_outputs = args.keep_outputs.or(settings.keep_outputs);
        if settings.keep.is_none() && settings.keep_outputs.is_none() {
            anyhow::bail!(
                "nothing is old: `journal: keep:` and `keep outputs:` are `forever`; use --keep or --keep-outputs, such as --keep 90d"
            );
        }
        let limits = AgeLimits::at(context.present.steady, &settings);
        if args.dry_run {
            let old = OldView::gather(&limits, context)?;
            return Ok(if args.common.json { print::json(&old) } else { print::text(&format!("would remove {old}\n")) });
        }
        if journal::holder(&settings.folder).is_some() {
            let command = Command::Prune { keep: settings.keep, keep_outputs: settings.keep_outputs };
            return Ok(args.common.ask(command));
        }
        prune(args, &limits, context)
    })
}

fn prune(args: &Args, limits: &AgeLimits, context: &ViewContext) -> anyhow::Result<ExitCode> {
    let mut journal = open(context)?;
    let entries =
        limits.entries.map_or_else(|| Ok(RemovedEntries::default()), |before| journal.prune(before))?;
    let root = context.config.journal.runs_folder();
    let outputs = match limits.outputs {
        Some(before) => {
            let old = journal.old_outputs(before)?;
            old_runs::remove(&root, |run| old.contains(Number(run)))
        }
        None => old_runs::RemovedFolders::default(),
    };
    for error in outputs.errors {
        print::complain(&format!("the output of an old run cannot be removed: {error}"));
    }
    let after = context.history.info()?;
    let view = PruneView {
        file: after.file,
        removed_events: entries.events as u64,
        removed_runs: entries.runs as u64,
        freed_bytes: entries.bytes,
        removed_outputs: outputs.count as u64,
        removed_outputs_bytes: outputs.bytes,
    };
    if args.common.json {
        return Ok(print::json(&view));
    }
    let next = if after.free_bytes == 0 {
        String::new()
    } else {
        format!(
            "; {} of the file are free: \"nowcast journal compact\" shrinks the file",
            size(after.free_bytes)
        )
    };
    Ok(print::text(&format!(
        "removed {} and {}, and the outputs of {} ({}){next}\n",
        counted(view.removed_events, "event", "events"),
        counted(view.removed_runs, "run", "runs"),
        counted(view.removed_outputs, "run", "runs"),
        size(view.removed_outputs_bytes),
    )))
}
