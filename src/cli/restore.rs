//! `nowcast restore`: a backup becomes the journal. What follows for runs and launches is decided by the core.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use jiff::ZonedDateTime;
use serde::Serialize;

use super::journal::{EventView, refuse_beside_manager};
use super::operate::{CommonOptions, user};
use super::print;
use super::times::minute;
use crate::clock::MachineClock;
use crate::config::Config;
use crate::launch::{RunFolder, RunFolderState, old_runs};
use crate::store::journal::{Restore, Restored};
use nowcast_core::counted::counted;
use nowcast_core::{Answer, CallId, Command, Effect, Event, NoRules, Number, Record, Run, State, decide};

/// `nowcast restore`
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Backup to restore: a file of "nowcast backup", or the journal.sqlite of another journal
    file: PathBuf,
    /// Do not hold or park launches; only if nothing has happened since the backup, as when a stopped system moves to another machine
    #[arg(long)]
    latest: bool,
}

/// A restore. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct RestoreView {
    file: PathBuf,
    version: i64,
    events: u64,
    last_event: Option<EventView>,
    /// The folder of the previous journal.
    set_aside: Option<PathBuf>,
    text: String,
    /// The parked launches and the hold.
    numbers: Vec<u64>,
    /// The runs that were launched after the backup.
    launched_since: Vec<u64>,
    /// Those of them that run.
    still_running: Vec<u64>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    restore(args, &config).unwrap_or_else(|error| {
        print::error(error.as_ref());
        ExitCode::FAILURE
    })
}

fn restore(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let folder = &config.journal.folder;
    refuse_beside_manager(folder)?;
    let mut restore = Restore::prepare(folder, &args.file)?;
    let mut state = restore.journal.load()?.state(Arc::new(config.policy()));
    let runs = RunsHere::find(&config.journal.runs_folder(), Number(state.last_number))?;
    // A run must not get the number, and with it the folder, of one that was launched since.
    state.last_number =
        state.last_number.max(restore.last_number.0).max(runs.numbers.last().copied().unwrap_or_default());
    let (records, answer) = decide_restore(&mut state, args, &runs.numbers);
    restore.journal.commit(&records)?;
    let backup = restore.backup.clone();
    let restored = restore
        .put_in_force(&config.checklist_file, &state.checklist.to_value())
        .context("the restore was not finished; \"nowcast status\" says whether it was begun")?;
    let last_event = backup.first_and_last.map(|[_, last]| EventView::of(last));
    let view = RestoreView {
        file: backup.file,
        version: backup.version,
        events: backup.events,
        last_event,
        set_aside: restored.set_aside.clone(),
        text: answer.text,
        numbers: answer.numbers.iter().map(|number| number.0).collect(),
        launched_since: runs.since,
        still_running: runs.still_running,
    };
    complain_of_checklist(&restored, config);
    Ok(if args.common.json { print::json(&view) } else { print::text(&text(&view)) })
}

/// Decide the restore as the manager would decide a command. Return its records and the answer.
fn decide_restore(state: &mut State, args: &Args, runs: &BTreeSet<u64>) -> (Vec<Record>, Answer) {
    let is_launched_since = |run: &&Run| run.folder().is_none() && runs.contains(&run.id.0);
    let launched_since = state.runs.values().filter(is_launched_since).map(|run| run.id).collect();
    let file = args.file.display().to_string();
    let command = Command::Restore { file, is_latest: args.latest, launched_since };
    let event = Event::Command { call: Some(CallId(0)), user: user(), command, historical_checklist: None };
    let (mut records, mut answer) = (Vec::new(), Answer::done("", Vec::new()));
    for effect in decide(state, event, &NoRules, &MachineClock::new().read()) {
        match effect {
            Effect::Journal(record) => records.push(*record),
            Effect::Answer { answer: given, .. } => answer = given,
            // The next manager writes the checklist file, and starts what the journal says was launched.
            _ => {}
        }
    }
    (records, answer)
}

/// The runs that have folders here.
struct RunsHere {
    /// Their numbers.
    numbers: BTreeSet<u64>,
    /// Those that were launched after the backup.
    since: Vec<u64>,
    /// Those of the latter that run.
    still_running: Vec<u64>,
}

impl RunsHere {
    fn find(root: &Path, last_of_backup: Number) -> anyhow::Result<Self> {
        let (mut numbers, mut since, mut still_running) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (number, folder) in old_runs::folders(root) {
            numbers.insert(number);
            if number > last_of_backup.0 {
                since.push(number);
                let state = RunFolder::new(folder, number.to_string()).state()?.state;
                if matches!(state, RunFolderState::Running { .. } | RunFolderState::Orphan { .. }) {
                    still_running.push(number);
                }
            }
        }
        since.sort_unstable();
        still_running.sort_unstable();
        Ok(Self { numbers, since, still_running })
    }
}

fn text(view: &RestoreView) -> String {
    let until = view.last_event.map_or_else(String::new, |event| {
        format!(", the last one #{} of {}", event.number, minute(event.time, &ZonedDateTime::now()))
    });
    let events = counted(view.events, "event", "events");
    let mut lines = vec![format!("restored {}: {events}{until}", view.file.display())];
    lines.push(view.text.clone());
    if !view.launched_since.is_empty() {
        let runs = counted(view.launched_since.len(), "run was", "runs were");
        let running: Vec<String> = view.still_running.iter().map(|run| format!("#{run}")).collect();
        let running = match running.len() {
            0 => "none of them runs any longer".to_owned(),
            _ => format!("{} still running: the restored journal does not know of it", running.join(", ")),
        };
        lines.push(format!("{runs} launched after the backup; {running}"));
    }
    lines.extend(view.set_aside.as_ref().map(|folder| {
        let previous = folder.join("journal.sqlite");
        format!("the previous journal is kept; to go back to it: nowcast restore {}", previous.display())
    }));
    lines.push("start the manager; \"nowcast status\" shows what is held and parked".to_owned());
    lines.join("\n") + "\n"
}

fn complain_of_checklist(restored: &Restored, config: &Config) {
    if let Some(error) = &restored.unwritten_checklist {
        print::complain(&format!(
            "the checklist file {} could not be written: {error}; the manager writes it at its start",
            config.checklist_file.display()
        ));
    }
}
