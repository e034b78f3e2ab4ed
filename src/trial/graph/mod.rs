//! The graph of launches, found by calling the rules with every possible message, and in the journal's runs.
//!
//! This module never judges what it finds; that is [`super::check`]'s job.

mod dot;
mod drawing;
mod gather;
mod mermaid;
mod text;
mod tree;

use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

pub use gather::{GraphError, graph};

/// The graph of workers and the launches between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The workers: first those of the message registry in its order, then others.
    pub workers: Vec<GraphNode>,
    /// The launches, in the order of the workers.
    pub edges: Vec<Edge>,
    /// The joins that rules open.
    pub joins: Vec<JoinNode>,
    /// The messages whose launches are not known, because the rule failed each time it was called with them.
    pub unknown: Vec<Unknown>,
    /// Whether there is a history in which launches were counted.
    pub has_history: bool,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphNode {
    /// Its name.
    pub name: String,
    /// Whether it is in the message registry.
    pub is_registered: bool,
    /// The number of launches by operators.
    pub by_hand: u64,
}

/// The messages of a worker whose rule failed with every input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The worker.
    pub worker: String,
    /// The message types.
    pub types: Vec<String>,
}

/// The launches of one worker after messages of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The worker whose messages lead to the launch.
    pub from: String,
    /// The worker that is launched.
    pub to: String,
    /// The message types that lead to the launch.
    pub types: IndexMap<String, Seen>,
    /// The joins in which the launch waits.
    pub joins: Vec<String>,
}

/// The evidence for a launch after a message type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Whether a rule returned the launch when it was called.
    pub by_rules: bool,
    /// The number of times that the launch happened.
    pub runs: u64,
}

/// A join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinNode {
    /// Its name.
    pub name: String,
    /// The workers whose rules open it.
    pub opened_by: Vec<String>,
    /// The messages that it waits for, such as `14 × rivers (success)`.
    pub wait_for: Vec<String>,
    /// The workers that it waits for.
    pub workers: Vec<String>,
}

impl Graph {
    /// Return the part of the graph that leads to a worker or follows from it, or `None` if there is no such worker.
    #[must_use]
    pub fn around(mut self, worker: &str) -> Option<Self> {
        let worker = self.workers.iter().find(|node| node.name == worker)?.name.clone();
        let before = reached(&worker, |name| {
            self.edges.iter().filter(|edge| edge.to == *name).map(|edge| &edge.from).collect()
        });
        let behind = reached(&worker, |name| {
            self.edges.iter().filter(|edge| edge.from == *name).map(|edge| &edge.to).collect()
        });
        self.edges.retain(|edge| before.contains(&edge.to) || behind.contains(&edge.from));
        let is_in = |name: &String| before.contains(name) || behind.contains(name);
        self.workers.retain(|node| is_in(&node.name));
        self.unknown.retain(|unknown| is_in(&unknown.worker));
        let edges = &self.edges;
        self.joins.retain(|join| {
            join.workers.contains(&worker) || edges.iter().any(|edge| edge.joins.contains(&join.name))
        });
        Some(self)
    }
}

/// Return a worker and all workers that can be reached from it.
fn reached<'a>(worker: &str, next: impl Fn(&str) -> Vec<&'a String>) -> IndexSet<String> {
    let mut reached = IndexSet::from([worker.to_owned()]);
    let mut at = 0;
    while let Some(name) = reached.get_index(at).cloned() {
        reached.extend(next(&name).into_iter().cloned());
        at += 1;
    }
    reached
}

impl Edge {
    /// Return the number of times that the launch happened.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.types.values().map(|seen| seen.runs).sum()
    }

    /// Return whether rules returned the launch when they were called.
    #[must_use]
    pub fn is_by_rules(&self) -> bool {
        self.types.values().any(|seen| seen.by_rules)
    }

    /// Return the message types, such as `success 00, success 06`. Types that only the history knows are marked by `*`.
    fn types_text(&self) -> String {
        let mark = |seen: &Seen| if self.is_marked(seen) { "*" } else { "" };
        let types: Vec<String> =
            self.types.iter().map(|(name, seen)| format!("{name}{}", mark(seen))).collect();
        types.join(", ")
    }

    /// Return whether one of its types is marked.
    fn has_marks(&self) -> bool {
        self.types.values().any(|seen| self.is_marked(seen))
    }

    /// Return whether only the history knows a type, although the rules return the launch for others.
    fn is_marked(&self, seen: &Seen) -> bool {
        self.is_by_rules() && !seen.by_rules
    }

    /// Return the number of times that the launch happened, or that it is known from one side only, as text.
    fn count_text(&self, has_history: bool) -> Option<String> {
        match (self.runs(), self.is_by_rules()) {
            (0, _) if has_history => Some("never happened".to_owned()),
            (0, _) => None,
            (runs, true) => Some(format!("×{runs}")),
            (runs, false) => Some(format!("×{runs}, only in the history")),
        }
    }
}
