//! Completions in a shell, with the names and numbers of the system in the current folder. They never print an error: the user is typing.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, ValueCompleter};

use super::config_file;
use super::restart::DAEMONS;
use crate::config::{self, Config};
use crate::store::History;
use crate::store::journal::RunFilter;
use nowcast_core::parked::ParkedItem;

/// The environment variable by which a shell asks for completions.
pub(super) const VARIABLE: &str = "NOWCAST_COMPLETE";

/// The most runs that are offered.
const MOST_RUNS: u32 = 30;

/// Complete the command line and end, if a shell asks for it.
pub(super) fn complete_if_asked() {
    CompleteEnv::with_factory(definition).var(VARIABLE).bin("nowcast").complete();
}

/// What an argument names.
#[derive(Debug, Clone, Copy)]
enum Named {
    Worker,
    Run,
    RunOrWorker,
    ParkedMessage,
    MessageType,
    Host,
    Cycle,
    DaemonOrWorker,
    Target,
}

impl Named {
    fn by(argument: &Arg) -> Option<Self> {
        let value =
            argument.get_value_names().and_then(|names| names.first()).map(clap::builder::Str::as_str);
        match (argument.get_id().as_str(), value.unwrap_or_default()) {
            (_, "DAEMON|WORKER") => Some(Self::DaemonOrWorker),
            (_, "RUN|WORKER" | "NUMBER|WORKER") => Some(Self::RunOrWorker),
            (_, "RUN") => Some(Self::Run),
            (_, "MESSAGE") => Some(Self::ParkedMessage),
            (_, "TYPE") => Some(Self::MessageType),
            (_, "TARGET") => Some(Self::Target),
            ("worker", _) | (_, "WORKER") => Some(Self::Worker),
            ("host", _) => Some(Self::Host),
            ("cycle", _) => Some(Self::Cycle),
            _ => None,
        }
    }

    fn candidates(self) -> Option<Vec<CompletionCandidate>> {
        let (config, _) = config::load(&file()).ok()?;
        let history = || History::open(&config.journal.folder).ok();
        Some(match self {
            Self::Worker => workers(&config),
            Self::DaemonOrWorker => DAEMONS.into_iter().map(candidate).chain(workers(&config)).collect(),
            Self::Run => runs(&history()?),
            Self::RunOrWorker => {
                let of_runs = history().as_ref().map(runs).unwrap_or_default();
                workers(&config).into_iter().chain(of_runs).collect()
            }
            Self::ParkedMessage => parked(&history()?),
            Self::MessageType => types(&config),
            Self::Target => {
                let targets = config.notifications.targets.iter().map(|target| &target.name);
                let channels = config.notifications.slack.iter().flat_map(|slack| &slack.channels);
                targets.chain(channels.map(|channel| &channel.variable)).map(candidate).collect()
            }
            Self::Host => config.hosts.keys().map(candidate).collect(),
            Self::Cycle => {
                history()?.cycles_now().ok()?.kept().map(|(cycle, _)| candidate(cycle.to_string())).collect()
            }
        })
    }
}

/// The first value of an argument is completed; those behind it are a worker's own.
impl ValueCompleter for Named {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let current = current.to_string_lossy();
        let begins = |found: &CompletionCandidate| found.get_value().to_string_lossy().starts_with(&*current);
        self.candidates().unwrap_or_default().into_iter().filter(begins).collect()
    }

    fn complete_at(&self, index: usize, current: &OsStr) -> Vec<CompletionCandidate> {
        if index == 0 { self.complete(current) } else { Vec::new() }
    }
}

fn definition() -> Command {
    with_candidates(super::definition())
}

fn with_candidates(command: Command) -> Command {
    command.mut_subcommands(with_candidates).mut_args(|argument| match Named::by(&argument) {
        Some(named) => argument.add(ArgValueCompleter::new(named)),
        None => argument,
    })
}

/// The configuration file of commands without `--config`.
fn file() -> PathBuf {
    config_file::default()
}

fn candidate(value: impl Into<String>) -> CompletionCandidate {
    CompletionCandidate::new(value.into())
}

fn described(value: impl Into<String>, help: String) -> CompletionCandidate {
    candidate(value).help(Some(help.into()))
}

fn workers(config: &Config) -> Vec<CompletionCandidate> {
    config.registry.workers.keys().map(candidate).collect()
}

fn types(config: &Config) -> Vec<CompletionCandidate> {
    let workers = config.registry.workers.values();
    let mut types: Vec<&String> = workers.flat_map(|worker| worker.messages.keys()).collect();
    types.sort_unstable();
    types.dedup();
    types.into_iter().map(candidate).collect()
}

fn runs(history: &History) -> Vec<CompletionCandidate> {
    let filter = RunFilter { limit: Some(MOST_RUNS), ..RunFilter::default() };
    let runs = history.runs(&filter).unwrap_or_default();
    runs.iter().map(|run| described(run.id.0.to_string(), run.worker.name().to_owned())).collect()
}

fn parked(history: &History) -> Vec<CompletionCandidate> {
    let open = history.open_now().unwrap_or_default();
    let messages = open.parked.iter().filter(|parked| matches!(parked.item, ParkedItem::Message { .. }));
    messages.map(|parked| candidate(parked.id.0.to_string())).collect()
}
