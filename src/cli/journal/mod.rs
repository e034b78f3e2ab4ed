//! `nowcast journal`: the size of the journal, its check, and its reduction. It must never change a journal that a manager uses.

mod info;
mod prune;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::operate::CommonOptions;
use super::print;
use super::read_only::ViewContext;
use crate::store::journal::{self, Journal, JournalInfo};
use nowcast_core::Number;
use nowcast_core::counted::{counted, size};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    action: JournalCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum JournalCommand {
    /// Show the size and content of the journal
    Info {
        #[command(flatten)]
        common: CommonOptions,
    },
    /// Search the journal for damage
    #[command(after_help = "Exit status: 0 if nothing was found, 1 if the journal is damaged.")]
    Check {
        #[command(flatten)]
        common: CommonOptions,
    },
    /// Remove old events and the outputs of old runs now
    ///
    /// The manager does the same by itself, once an hour while it is idle. While it runs, it is asked to; its log says what it removed. The
    /// file stays as large as it is until it is compacted.
    Prune(prune::Args),
    /// Make the file as small as its content allows; the manager must not run
    ///
    /// The disk needs room for a second copy of the journal, and the folder for temporary files for a third.
    Compact {
        #[command(flatten)]
        common: CommonOptions,
    },
}

pub(super) fn run(args: &Args) -> ExitCode {
    match &args.action {
        JournalCommand::Info { common } => common.view(|context| info::show(common, context)),
        JournalCommand::Check { common } => common.view(|context| check(common, context)),
        JournalCommand::Prune(args) => prune::run(args),
        JournalCommand::Compact { common } => common.view(|context| compact(common, context)),
    }
}

/// An event. Its keys are those of the JSON.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct EventView {
    pub number: u64,
    pub time: Timestamp,
}

impl EventView {
    pub(super) fn of((number, time): (Number, Timestamp)) -> Self {
        Self { number: number.0, time }
    }
}

/// The result of a check. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct CheckView {
    file: PathBuf,
    events: u64,
    runs: u64,
    problems: Vec<String>,
}

fn check(common: &CommonOptions, context: &ViewContext) -> anyhow::Result<ExitCode> {
    let problems = context.history.check()?;
    let JournalInfo { file, events, runs, .. } = context.history.info()?;
    let is_damaged = !problems.is_empty();
    let shown = if common.json {
        print::json(&CheckView { file, events, runs, problems })
    } else if is_damaged {
        print::text(&format!(
            "{} is damaged:\n  {}\nRestore a backup with \"nowcast restore FILE\", or move the journal's folder aside to start a new journal.\n",
            file.display(),
            problems.join("\n  ")
        ))
    } else {
        print::text(&format!(
            "{}: {} and {}, no damage found\n",
            file.display(),
            counted(events, "event", "events"),
            counted(runs, "run", "runs")
        ))
    };
    Ok(if is_damaged { ExitCode::FAILURE } else { shown })
}

/// The sizes of a journal that was compacted. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct CompactView {
    file: PathBuf,
    bytes_before: u64,
    bytes: u64,
}

fn compact(common: &CommonOptions, context: &ViewContext) -> anyhow::Result<ExitCode> {
    let mut journal = open(context)?;
    let before = context.history.info()?;
    let bytes_before = before.bytes + before.log_bytes;
    journal.compact().context(
        "the journal is unchanged; compacting needs room beside it for a second copy, and in $SQLITE_TMPDIR, else $TMPDIR, else \
         /var/tmp, for a third",
    )?;
    let is_shrunk = journal.shrink().context("the journal is compacted, but its file is not smaller")?;
    if !is_shrunk {
        anyhow::bail!(
            "the journal is compacted, but its file is not smaller, since another program reads it; try again when that program has ended"
        );
    }
    let JournalInfo { file, bytes, log_bytes, .. } = context.history.info()?;
    let bytes = bytes + log_bytes;
    if common.json {
        return Ok(print::json(&CompactView { file, bytes_before, bytes }));
    }
    Ok(print::text(&format!("compacted {} from {} to {}\n", file.display(), size(bytes_before), size(bytes))))
}

/// Open the journal to change it, which only one process can do.
fn open(context: &ViewContext) -> anyhow::Result<Journal> {
    let folder = &context.config.journal.folder;
    refuse_beside_manager(folder)?;
    Ok(Journal::open(folder)?)
}

/// Refuse what cannot be done while a manager uses the journal.
pub(super) fn refuse_beside_manager(folder: &Path) -> anyhow::Result<()> {
    if let Some(process) = journal::holder(folder) {
        let process = if process == 0 { String::new() } else { format!(" (process {process})") };
        anyhow::bail!(
            "a manager{process} uses the journal in {}, and only it may change the journal. Stop it first; workers wait for their \
             replies until it runs again",
            folder.display()
        );
    }
    Ok(())
}
