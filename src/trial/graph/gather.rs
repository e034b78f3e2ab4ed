//! Gathers the graph from calls of the rules and the causes of the journal's runs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use indexmap::{IndexMap, IndexSet};
use jiff::{Timestamp, ZonedDateTime};

use super::{Edge, Graph, GraphNode, JoinNode, Seen, Unknown};
use crate::config::Config;
use crate::rules::Engine;
use crate::store::History;
use crate::store::journal::{JournalError, RunFilter};
use crate::trial::check::cases::CaseSource;
use crate::trial::check::trace::trace;
use nowcast_core::record::RecordedEvent;
use nowcast_core::{JoinRequest, Number, Requirement};

/// The maximum number of the journal's latest runs that are read.
const MOST_RUNS: u32 = 100_000;

/// The reason why there is no graph.
#[derive(Debug, thiserror::Error)]
#[error("the history cannot be read: {0}")]
pub struct GraphError(#[from] JournalError);

/// Return the graph of the rules: the launches that they return when they are called with every possible message, and
/// the launches since a moment.
///
/// # Errors
/// When there is a journal that cannot be read.
pub fn graph(config: &Config, engine: &Engine, since: Option<Timestamp>) -> Result<Graph, GraphError> {
    let mut gathered = Gathered::default();
    gathered.call_rules(config, engine);
    match History::open(&config.journal.folder) {
        Ok(history) => {
            gathered.has_history = true;
            gathered.read(&history, since)?;
        }
        Err(JournalError::None { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(gathered.graph(config))
}

#[derive(Default)]
struct Gathered {
    launches: IndexMap<(String, String), IndexMap<String, Seen>>,
    /// The joins in which launches wait, by the launching and the launched worker.
    joined: IndexMap<(String, String), IndexSet<String>>,
    joins: IndexMap<String, (IndexSet<String>, Vec<Requirement>)>,
    /// The joins by cycle or since a moment, in which only their own launches wait.
    identified: IndexSet<String>,
    /// Whether a rule ever returned a result, by worker and message type.
    answered: IndexMap<String, IndexMap<String, bool>>,
    by_hand: HashMap<String, u64>,
    has_history: bool,
}

impl Gathered {
    fn call_rules(&mut self, config: &Config, engine: &Engine) {
        let world = CaseSource::of(config, ZonedDateTime::now());
        trace(config, engine, &world, |case, call| {
            let (from, r#type) = (&case.message.source, &case.message.r#type);
            let types = self.answered.entry(from.clone()).or_default();
            *types.entry(r#type.clone()).or_default() |= call.result.is_ok();
            let Ok(answer) = &call.result else { return };
            for worker in &answer.next_workers {
                self.seen(from, worker.name(), r#type).by_rules = true;
            }
            if let Some(join) = &answer.join {
                self.join(from, r#type, join);
            }
        });
        // A launch waits in each join that requires the message which leads to it.
        for ((from, to), types) in &self.launches {
            for (name, (_, wait_for)) in &self.joins {
                let is_waited_for = |requirement: &Requirement| {
                    requirement.worker == *from
                        && requirement
                            .r#type
                            .as_ref()
                            .is_none_or(|requirement| types.contains_key(requirement))
                };
                if !self.identified.contains(name) && wait_for.iter().any(is_waited_for) {
                    self.joined.entry((from.clone(), to.clone())).or_default().insert(name.clone());
                }
            }
        }
    }

    fn seen(&mut self, from: &str, to: &str, r#type: &str) -> &mut Seen {
        let types = self.launches.entry((from.to_owned(), to.to_owned())).or_default();
        types.entry(r#type.to_owned()).or_default()
    }

    fn join(&mut self, from: &str, r#type: &str, join: &JoinRequest) {
        let name = join.name.clone().unwrap_or_else(|| from.to_owned());
        for worker in &join.launch {
            self.seen(from, worker.name(), r#type).by_rules = true;
            let way = (from.to_owned(), worker.name().to_owned());
            self.joined.entry(way).or_default().insert(name.clone());
        }
        if join.scope.is_some() {
            self.identified.insert(name.clone());
        }
        let (opened_by, wait_for) = self.joins.entry(name).or_default();
        opened_by.insert(from.to_owned());
        for requirement in &join.wait_for {
            if !wait_for.contains(requirement) {
                wait_for.push(requirement.clone());
            }
        }
    }

    fn read(&mut self, history: &History, since: Option<Timestamp>) -> Result<(), JournalError> {
        let filter = RunFilter { since, limit: Some(MOST_RUNS), ..RunFilter::default() };
        let mut causes: HashMap<Number, Option<RecordedEvent>> = HashMap::new();
        for run in history.runs(&filter)? {
            // A retry is not a launch of its own.
            if run.retry_of.is_some() {
                continue;
            }
            let cause = match causes.entry(run.cause) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(history.event(run.cause)?.map(|event| event.event)),
            };
            match cause {
                Some(RecordedEvent::Message(message)) => {
                    if let Some(message) = &message.message {
                        self.seen(&message.source, run.worker.name(), &message.r#type).runs += 1;
                    }
                }
                Some(RecordedEvent::Command { .. }) => {
                    *self.by_hand.entry(run.worker.name().to_owned()).or_default() += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn graph(&self, config: &Config) -> Graph {
        let registered = &config.registry.workers;
        let mut names: IndexSet<&str> = registered.keys().map(String::as_str).collect();
        let ends = self.launches.keys().flat_map(|(from, to)| [from, to]);
        let waited_for =
            self.joins.values().flat_map(|(_, wait_for)| wait_for).map(|requirement| &requirement.worker);
        let mut others: Vec<&str> =
            ends.chain(waited_for).chain(self.by_hand.keys()).map(String::as_str).collect();
        others.sort_unstable();
        names.extend(others);
        let place = |name: &str| names.get_index_of(name);
        let type_place = |worker: &str, r#type: &str| {
            registered.get(worker).and_then(|worker| worker.messages.get_index_of(r#type))
        };
        let mut edges: Vec<Edge> = Vec::new();
        for ((from, to), types) in &self.launches {
            let mut types = types.clone();
            types.sort_by_key(|name, _| (type_place(from, name).unwrap_or(usize::MAX), name.clone()));
            let joins = self.joined.get(&(from.clone(), to.clone())).into_iter().flatten().cloned();
            edges.push(Edge { joins: joins.collect(), from: from.clone(), to: to.clone(), types });
        }
        edges.sort_by_key(|edge| (place(&edge.from), place(&edge.to)));
        let joins = self.joins.iter().map(|(name, (opened_by, wait_for))| JoinNode {
            name: name.clone(),
            opened_by: opened_by.iter().cloned().collect(),
            workers: wait_for
                .iter()
                .map(|requirement| requirement.worker.clone())
                .collect::<IndexSet<_>>()
                .into_iter()
                .collect(),
            wait_for: wait_for.iter().map(Requirement::to_string).collect(),
        });
        let node = |name: &&str| GraphNode {
            name: (*name).to_owned(),
            is_registered: registered.contains_key(*name),
            by_hand: self.by_hand.get(*name).copied().unwrap_or_default(),
        };
        let unknown = self.answered.iter().filter_map(|(worker, types)| {
            let types: Vec<String> =
                types.iter().filter(|(_, answered)| !**answered).map(|(name, _)| name.clone()).collect();
            (!types.is_empty()).then(|| Unknown { worker: worker.clone(), types })
        });
        Graph {
            workers: names.iter().map(node).collect(),
            edges,
            joins: joins.collect(),
            unknown: unknown.collect(),
            has_history: self.has_history,
        }
    }
}
