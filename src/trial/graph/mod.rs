//! The graph of launches: found by calling the rules with every possible message, and from the journal's runs.
//!
//! It must never judge what it finds; that is [`super::check`]'s job.

mod dot;
mod drawing;
mod gather;
mod mermaid;
mod text;
mod tree;

use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

pub use gather::{GraphError, graph};

/// Workers and what leads from one to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The workers, in the order of the message registry, others behind.
    pub workers: Vec<GraphNode>,
    /// What leads from one to another, in the order of the workers.
    pub edges: Vec<Edge>,
    /// The joins that rules open.
    pub joins: Vec<JoinNode>,
    /// Messages of which nothing is known, because the rule failed whenever it was called with them.
    pub unknown: Vec<Unknown>,
    /// Whether there is a history to count in.
    pub has_history: bool,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphNode {
    /// Its name.
    pub name: String,
    /// Whether it is in the message registry.
    pub is_registered: bool,
    /// How many times it was launched by an operator.
    pub by_hand: u64,
}

/// Messages whose rule failed with everything that it was called with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The worker.
    pub worker: String,
    /// The message types.
    pub types: Vec<String>,
}

/// A worker launches another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Whose messages lead there.
    pub from: String,
    /// What is launched.
    pub to: String,
    /// The message types that lead there.
    pub types: IndexMap<String, Seen>,
    /// The joins in which the launch waits.
    pub joins: Vec<String>,
}

/// How a launch after a message type is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Whether a rule returned it when it was called.
    pub by_rules: bool,
    /// How many times it happened.
    pub runs: u64,
}

/// A join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinNode {
    /// Its name.
    pub name: String,
    /// The workers whose rules open it.
    pub opened_by: Vec<String>,
    /// What it waits for, as `14 × rivers (success)`.
    pub wait_for: Vec<String>,
    /// The workers that it waits for.
    pub workers: Vec<String>,
}

impl Graph {
    /// The part that leads to a worker and that follows from it; `None` if there is no such worker.
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

/// A worker and all that can be come to from it.
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
    /// How many times it happened.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.types.values().map(|seen| seen.runs).sum()
    }

    /// Whether rules returned it when they were called.
    #[must_use]
    pub fn is_by_rules(&self) -> bool {
        self.types.values().any(|seen| seen.by_rules)
    }

    /// The types that lead there, `success 00, success 06`; those that only the history knows marked by `*`.
    fn types_text(&self) -> String {
        let mark = |seen: &Seen| if self.is_marked(seen) { "*" } else { "" };
        let types: Vec<String> =
            self.types.iter().map(|(name, seen)| format!("{name}{}", mark(seen))).collect();
        types.join(", ")
    }

    /// Whether one of its types is marked.
    fn has_marks(&self) -> bool {
        self.types.values().any(|seen| self.is_marked(seen))
    }

    /// Whether only the history knows a type of an edge that the rules know, too.
    fn is_marked(&self, seen: &Seen) -> bool {
        self.is_by_rules() && !seen.by_rules
    }

    /// How many times it happened, or that it is known from one side only.
    fn count_text(&self, has_history: bool) -> Option<String> {
        match (self.runs(), self.is_by_rules()) {
            (0, _) if has_history => Some("never happened".to_owned()),
            (0, _) => None,
            (runs, true) => Some(format!("×{runs}")),
            (runs, false) => Some(format!("×{runs}, only in the history")),
        }
    }
}
