//! Operators' commands for many numbers at once: shows them, asks, and sends one command for each. It never sends a command for a number that
//! the list did not show.

use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::operate::CommonOptions;
use super::read_only::{ViewContext, check_worker};
use super::{USAGE, confirm, cycle_option, print, times};
use crate::store::journal::{RunFilter, RunState};
use crate::view::run::RunView;
use nowcast_core::counted::counted;
use nowcast_core::{Answer, Command, Cycle, Number, Run};

/// Options that select numbers, and those of what is done to them.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Bulk {
    /// Select by worker, in place of a number
    #[arg(long, help_heading = HEADING)]
    worker: Option<String>,
    /// Select by host
    #[arg(long, help_heading = HEADING)]
    host: Option<String>,
    /// Select by cycle
    #[arg(long, value_name = "ID", help_heading = HEADING, value_parser = cycle_option::label)]
    pub cycle: Option<Cycle>,
    /// Select from this time on, such as 2d, 06:00 or 2026-03-14
    #[arg(long, value_name = "TIME", help_heading = HEADING, value_parser = times::since)]
    since: Option<Timestamp>,
    /// Only show what is selected
    #[arg(long, help_heading = HEADING, conflicts_with = "yes")]
    dry_run: bool,
    /// Skip the confirmation
    #[arg(long, help_heading = HEADING)]
    pub yes: bool,
}

/// The heading of the options in the help.
pub(super) const HEADING: &str = "Many at once";

/// The options that stand for a number, in commands with `--all`.
pub(super) const SELECTING: [&str; 6] = ["all", "worker", "host", "cycle", "since", "dry_run"];

/// The options that stand for a number.
pub(super) const SELECTING_BUT_ALL: [&str; 5] = ["worker", "host", "cycle", "since", "dry_run"];

/// One of the selected numbers.
pub(super) struct Selected {
    number: Number,
    /// What it is, for people.
    what: String,
    command: Command,
    /// What else the operator should know once it is done.
    note: String,
}

/// The result for a number. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct ItemResult<'a> {
    number: Number,
    what: &'a str,
    #[serde(flatten)]
    answer: Option<&'a Answer>,
}

impl Selected {
    pub(super) fn new(number: Number, what: String, command: Command) -> Self {
        Self { number, what, command, note: String::new() }
    }

    /// Return a run with its command.
    pub(super) fn run(run: &Run, command: Command, context: &ViewContext) -> Self {
        let view = RunView::new(run, context);
        let cycle = view.cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
        Self::new(run.id, format!("{}{cycle}: {}", view.label(), view.description(&context.now)), command)
    }

    /// Add a note to its answer.
    pub(super) fn with_note(self, note: String) -> Self {
        Self { note, ..self }
    }

    fn line(&self) -> String {
        format!("{} {}", self.number, self.what)
    }
}

impl Bulk {
    /// Return whether numbers are selected by more than their cycle.
    pub(super) fn is_given(&self) -> bool {
        self.worker.is_some() || self.host.is_some() || self.since.is_some() || self.dry_run
    }

    /// Return whether something of a worker, host and cycle is selected, whatever its time.
    pub(super) fn fits(&self, worker: &str, host: Option<&str>, cycle: Option<&Cycle>) -> bool {
        self.worker.as_ref().is_none_or(|selected| selected == worker)
            && self.host.as_ref().is_none_or(|selected| Some(selected.as_str()) == host)
            && (self.cycle.is_none() || self.cycle.as_ref() == cycle)
    }

    /// Return whether something of this time is selected.
    pub(super) fn is_since(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since)
    }

    /// Return whether a run is selected, whatever its time.
    pub(super) fn fits_run(&self, run: &Run) -> bool {
        self.fits(run.worker.name(), Some(&run.worker.host), run.cycle.as_ref())
    }

    /// Return the selected runs in a state, on any host, newest first.
    pub(super) fn runs(&self, state: RunState, context: &ViewContext) -> anyhow::Result<Vec<Run>> {
        let (worker, since) = (self.worker.clone(), self.since);
        let (cycle, within) =
            (self.cycle.as_ref().map(Cycle::to_string), context.within(self.cycle.as_ref())?);
        Ok(context.history.runs(&RunFilter {
            worker,
            cycle,
            within,
            state,
            since,
            ..RunFilter::default()
        })?)
    }

    /// Show what is selected, ask, and send a command for each; `verb` is what is done to it. The exit status is 0 if all were done.
    pub(super) fn act(
        &self,
        verb: &str,
        common: &CommonOptions,
        select: impl FnOnce(&ViewContext) -> anyhow::Result<Vec<Selected>>,
    ) -> ExitCode {
        common.view(|context| {
            self.worker.as_deref().map_or(Ok(()), |worker| check_worker(worker, context))?;
            let selected = select(context)?;
            if self.dry_run || selected.is_empty() {
                return Ok(show_selected(&selected, common.json));
            }
            let lines = lines(&selected);
            let count = counted(selected.len() as u64, "item", "items");
            let is_confirmed = if self.yes {
                Ok(true)
            } else {
                confirm::ask(&format!("{lines}{verb} {count}?"), common.json)
            };
            Ok(match is_confirmed {
                Ok(true) => send_all(&selected, common).unwrap_or_else(|status| status),
                Ok(false) => {
                    print::complain("nothing was changed");
                    ExitCode::FAILURE
                }
                Err(error) => {
                    print::error(error.as_ref());
                    ExitCode::from(USAGE)
                }
            })
        })
    }
}

/// Return a line for each.
fn lines(selected: &[Selected]) -> String {
    selected.iter().map(|item| item.line() + "\n").collect()
}

fn show_selected(selected: &[Selected], json: bool) -> ExitCode {
    if json {
        let items = selected.iter();
        let items = items.map(|item| ItemResult { number: item.number, what: &item.what, answer: None });
        return print::json(&items.collect::<Vec<_>>());
    }
    let lines = lines(selected);
    print::text(if selected.is_empty() { "nothing is selected\n" } else { &lines })
}

/// Send the command of each; print each result when it is known.
fn send_all(selected: &[Selected], common: &CommonOptions) -> Result<ExitCode, ExitCode> {
    let config = common.load()?;
    let mut answers = Vec::new();
    let mut last = Ok(ExitCode::SUCCESS);
    for item in selected {
        let mut answer = match CommonOptions::call(item.command.clone(), &config) {
            Ok(answer) => answer,
            // Without the manager, the others would fail as well.
            Err(status) => {
                last = Err(status);
                break;
            }
        };
        if answer.done {
            answer.text.push_str(&item.note);
        }
        match (common.json, answer.done) {
            (true, _) => {}
            (false, true) => _ = print::text(&format!("{}\n", answer.text)),
            (false, false) => print::complain(&format!("{}: {}", item.line(), answer.text)),
        }
        answers.push(answer);
    }
    if common.json {
        let items = selected.iter().zip(&answers);
        let results = items.map(|(item, answer)| ItemResult {
            number: item.number,
            what: &item.what,
            answer: Some(answer),
        });
        print::json(&results.collect::<Vec<_>>());
    }
    let (sent, count) = (answers.len(), selected.len());
    let failed = answers.iter().filter(|answer| !answer.done).count();
    if sent < count {
        print::complain(&format!("{} of {count} were not tried", count - sent));
    } else if failed > 0 {
        print::complain(&format!("{failed} of {count} were refused"));
    }
    last.map(|status| if failed > 0 { ExitCode::FAILURE } else { status })
}
