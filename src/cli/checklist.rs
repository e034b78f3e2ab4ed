//! `nowcast checklist`: prints it from the journal, changes it through the manager. It never writes the file.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::Subcommand;

use super::keys::{self, child, find_key};
use super::operate::{CommonOptions, message_number};
use super::print::{self, Json};
use super::read_only::ViewContext;
use crate::store::History;
use nowcast_core::{Command, Number};
use pyyaml::{Keys, Map, Value};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    action: ChecklistCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ChecklistCommand {
    /// Print the checklist as YAML
    Show {
        #[command(flatten)]
        common: CommonOptions,
    },
    /// Print a part of the checklist: text without quotes, other values as YAML
    Get {
        #[command(flatten)]
        common: CommonOptions,
        /// Keys from the top down; for a list, an index from 0
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Set a value in the checklist
    Set {
        #[command(flatten)]
        common: CommonOptions,
        /// Keys from the top down, then the value as YAML
        #[arg(required = true, num_args = 2.., value_names = ["KEY", "VALUE"])]
        keys_and_value: Vec<String>,
    },
    /// Clear the checklist
    Clear {
        #[command(flatten)]
        common: CommonOptions,
        /// Clear it even if runs are open whose rules may need it
        #[arg(long)]
        force: bool,
    },
    /// Print the checklist as it was after an event, in the form of the checklist file
    At {
        #[command(flatten)]
        common: CommonOptions,
        /// Number of a message or another event
        #[arg(value_parser = message_number)]
        event: Number,
    },
}

pub(super) fn run(args: &Args) -> ExitCode {
    match &args.action {
        ChecklistCommand::Show { common } => {
            common.view(|context| Ok(all(common, context.history.checklist_now()?)))
        }
        ChecklistCommand::At { common, event } => common.view(|context| at(common, context, *event)),
        ChecklistCommand::Get { common, keys } => common.view(|context| get(common, context, keys)),
        ChecklistCommand::Set { common, keys_and_value } => set(common, keys_and_value),
        ChecklistCommand::Clear { common, force } => clear(common, *force),
    }
}

fn all(common: &CommonOptions, checklist: Map) -> ExitCode {
    let checklist = Value::from(checklist);
    if common.json {
        return print::json(&Json(&checklist));
    }
    // Not cleaned of control characters: the YAML writer escapes them.
    print::status(print::write(pyyaml::write(&checklist, Keys::AsGiven).as_bytes()))
}

fn at(common: &CommonOptions, context: &ViewContext, event: Number) -> anyhow::Result<ExitCode> {
    let last = context.history.open_now()?.last_event.map(|event| event.number).unwrap_or_default();
    if event > last && context.history.numbered(event)?.is_empty() {
        anyhow::bail!("there is no event {event} yet; the last event is {last}");
    }
    // The checklist includes the event's own change, which its rule saw.
    Ok(all(common, context.history.checklist_before(Number(event.0.saturating_add(1)))?))
}

fn get(common: &CommonOptions, context: &ViewContext, keys: &[String]) -> anyhow::Result<ExitCode> {
    let checklist = Value::from(context.history.checklist_now()?);
    let value = keys::pick(&checklist, "the checklist", keys)?;
    Ok(keys::show(&value, common.json))
}

fn set(common: &CommonOptions, keys_and_value: &[String]) -> ExitCode {
    // clap requires at least two.
    let Some((value, keys)) = keys_and_value.split_last() else { return ExitCode::from(super::USAGE) };
    if let Err(error) = pyyaml::read(value) {
        print::complain(&format!("the value is not valid YAML: {error}"));
        return ExitCode::from(super::USAGE);
    }
    let mut path = Vec::new();
    let prepared = common.view(|context| {
        let mut place = Value::from(context.history.checklist_now()?);
        for key in keys {
            // A new key is text.
            let key = find_key(&place, key).unwrap_or_else(|| key.as_str().into());
            if place.as_list().is_some() {
                anyhow::bail!("cannot set one item of a list; set the whole list");
            }
            place = child(&place, &key).unwrap_or_default();
            path.push(key);
        }
        Ok(ExitCode::SUCCESS)
    });
    if prepared != ExitCode::SUCCESS {
        return prepared;
    }
    let path = pyyaml::write(&Value::from(path), Keys::AsGiven);
    common.ask(Command::ChecklistSet { path, value: value.clone() })
}

fn clear(common: &CommonOptions, force: bool) -> ExitCode {
    if force || !io::stdin().is_terminal() {
        return common.ask(Command::ChecklistClear { force });
    }
    let config = match common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    // If the journal cannot be read, the manager refuses and lists the open runs.
    let open = History::open(&config.journal.folder).and_then(|history| history.open_now());
    let running: Vec<String> = open
        .map(|open| open.runs)
        .unwrap_or_default()
        .iter()
        .map(|run| format!("{} {}", run.worker.name(), run.id))
        .collect();
    if running.is_empty() {
        return common.ask(Command::ChecklistClear { force: false });
    }
    let _ = write!(
        io::stderr(),
        "These runs are open, and their rules may need the checklist: {}\nClear it? [y/N] ",
        running.join(", ")
    );
    let mut answer = String::new();
    let is_yes = io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !is_yes {
        print::complain("not cleared");
        return ExitCode::FAILURE;
    }
    common.ask(Command::ChecklistClear { force: true })
}
