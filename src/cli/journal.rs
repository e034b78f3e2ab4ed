//! `nowcast journal`: the size of the journal, its check, and its reduction. It must never change a journal that a manager uses.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::operate::CommonOptions;
use super::print;
use super::read_only::ViewContext;
use super::times::{minute, span};
use crate::config::duration;
use crate::launch::old_runs;
use crate::store::journal::{self, Journal, JournalInfo};
use nowcast_core::Number;
use nowcast_core::counted::counted;

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
    /// Remove old events and the outputs of old runs now; the manager must not run
    ///
    /// The manager does the same by itself, once an hour while it is idle, if the configuration has "journal: keep:". The file stays
    /// as large as it is until it is compacted.
    Prune {
        #[command(flatten)]
        common: CommonOptions,
        /// Remove entries that are older [default: "journal: keep:"]
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        keep: Option<SignedDuration>,
    },
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
        JournalCommand::Info { common } => common.view(|context| info(common, context)),
        JournalCommand::Check { common } => common.view(|context| check(common, context)),
        JournalCommand::Prune { common, keep } => common.view(|context| prune(common, context, *keep)),
        JournalCommand::Compact { common } => common.view(|context| compact(common, context)),
    }
}

/// A journal. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct InfoView {
    file: PathBuf,
    version: i64,
    bytes: u64,
    free_bytes: u64,
    log_bytes: u64,
    events: u64,
    runs: u64,
    first_event: Option<EventView>,
    last_event: Option<EventView>,
    /// Seconds.
    keep: Option<i64>,
    /// The process number of the manager that uses it.
    manager: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct EventView {
    number: u64,
    time: Timestamp,
}

fn info(common: &CommonOptions, context: &ViewContext) -> anyhow::Result<ExitCode> {
    let info = context.history.info()?;
    let manager = journal::holder(&context.config.journal.folder);
    let keep = context.config.journal.keep;
    if common.json {
        let event = |(number, time): (Number, Timestamp)| EventView { number: number.0, time };
        let [first_event, last_event] =
            info.first_and_last.map_or([None; 2], |both| both.map(event).map(Some));
        let JournalInfo { file, version, bytes, free_bytes, log_bytes, events, runs, .. } = info;
        return Ok(print::json(&InfoView {
            file,
            version,
            bytes,
            free_bytes,
            log_bytes,
            events,
            runs,
            first_event,
            last_event,
            keep: keep.map(|keep| keep.as_secs()),
            manager,
        }));
    }
    let manager = match manager {
        None => "not running".to_owned(),
        Some(0) => "running".to_owned(),
        Some(process) => format!("process {process}"),
    };
    let times = info.first_and_last.map_or_else(String::new, |[first, last]| {
        format!(", from {} to {}", minute(first.1, &context.now), minute(last.1, &context.now))
    });
    let keep = match keep {
        Some(keep) => format!("{}, then removed", span(keep)),
        None => "forever, since `journal: keep:` is not set".to_owned(),
    };
    Ok(print::text(&format!(
        "file     {} (version {})\nsize     {}, of which {} are free; log {}\nevents   {}{times}\nruns     {}\nkept     {keep}\n\
         manager  {manager}\n",
        info.file.display(),
        info.version,
        size(info.bytes),
        size(info.free_bytes),
        size(info.log_bytes),
        info.events,
        info.runs,
    )))
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
            "{} is damaged:\n  {}\nRestore the journal's folder from a backup, or move it aside to start a new journal.\n",
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

/// The numbers of removed entries. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct PruneView {
    file: PathBuf,
    removed_events: u64,
    removed_runs: u64,
}

fn prune(
    common: &CommonOptions,
    context: &ViewContext,
    keep: Option<SignedDuration>,
) -> anyhow::Result<ExitCode> {
    let Some(keep) = keep.or(context.config.journal.keep) else {
        anyhow::bail!("cannot prune: `journal: keep:` is not set; use --keep, such as --keep 90d");
    };
    let mut journal = open(context)?;
    let before = context.history.info()?;
    if let Some(oldest) = context.present.steady.checked_after(-keep) {
        let gone = journal.prune(oldest)?;
        let root = context.config.journal.runs_folder();
        for error in old_runs::remove(&root, |number| gone.contains(Number(number))) {
            print::complain(&format!("the folder of an old run cannot be removed: {error}"));
        }
    }
    let after = context.history.info()?;
    let removed_events = before.events.saturating_sub(after.events);
    let removed_runs = before.runs.saturating_sub(after.runs);
    if common.json {
        return Ok(print::json(&PruneView { file: after.file, removed_events, removed_runs }));
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
        "removed {} and {}{next}\n",
        counted(removed_events, "event", "events"),
        counted(removed_runs, "run", "runs")
    )))
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
    if let Some(process) = journal::holder(folder) {
        let process = if process == 0 { String::new() } else { format!(" (process {process})") };
        anyhow::bail!(
            "a manager{process} uses the journal in {}, and only it may change the journal. Stop it first; workers wait for their \
             replies until it runs again",
            folder.display()
        );
    }
    Ok(Journal::open(folder)?)
}

/// Return a number of bytes for people: "1.2 GB".
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (12_345, "12 kB"),
            (999_999_999, "999 MB"),
            (1_260_000_000, "1.2 GB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
