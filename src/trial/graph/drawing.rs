//! The graph as nodes and arrows. Each output format adds only its syntax.

use std::fmt;

use super::{Edge, Graph};

/// A picture of workers and joins.
pub(super) struct Drawing<'a> {
    pub nodes: Vec<Drawn<'a>>,
    pub arrows: Vec<Arrow<'a>>,
}

/// The name of a node within a picture: `w3` for a worker, `j0` for a join.
#[derive(Clone, Copy)]
pub(super) enum Id {
    Worker(usize),
    Join(usize),
}

/// A worker or a join.
pub(super) struct Drawn<'a> {
    pub id: Id,
    pub name: &'a str,
    /// Whether the message registry has the worker; true for a join.
    pub is_registered: bool,
}

/// An arrow from one node to another.
pub(super) struct Arrow<'a> {
    pub from: Id,
    pub to: Id,
    pub kind: ArrowKind<'a>,
}

pub(super) enum ArrowKind<'a> {
    /// The worker's message counts in the join.
    Requires,
    /// The worker launches another one.
    Launches(Launches),
    /// The worker's launch waits in the join.
    Enters(Launches),
    /// The join launches a worker when it is complete.
    Releases { worker: &'a str, is_certain: bool },
}

/// The description of a launch.
#[derive(Clone)]
pub(super) struct Launches {
    /// The message types that lead to it, and the number of times that it happened.
    pub label: Vec<String>,
    /// Whether the rules return it and, if there is a history, it has happened.
    pub is_certain: bool,
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(number) => write!(out, "w{number}"),
            Self::Join(number) => write!(out, "j{number}"),
        }
    }
}

impl Graph {
    /// Return the nodes and arrows of the picture: workers, then joins, in the graph's order.
    pub(super) fn drawing(&self) -> Drawing<'_> {
        let mut arrows: Vec<Arrow> = Vec::new();
        for join in &self.joins {
            let Some(to) = self.join_id(&join.name) else { continue };
            let required = join.workers.iter().filter_map(|name| self.worker_id(name));
            arrows.extend(required.map(|from| Arrow { from, to, kind: ArrowKind::Requires }));
        }
        for edge in &self.edges {
            arrows.extend(self.arrows_of(edge));
        }
        let workers = self.workers.iter().enumerate().map(|(number, node)| Drawn {
            id: Id::Worker(number),
            name: &node.name,
            is_registered: node.is_registered,
        });
        let joins = self.joins.iter().enumerate().map(|(number, join)| Drawn {
            id: Id::Join(number),
            name: &join.name,
            is_registered: true,
        });
        Drawing { nodes: workers.chain(joins).collect(), arrows }
    }

    /// Return the arrows of a launch: straight to the worker, or through each join in which the launch waits.
    fn arrows_of<'a>(&'a self, edge: &'a Edge) -> Vec<Arrow<'a>> {
        let (Some(from), Some(to)) = (self.worker_id(&edge.from), self.worker_id(&edge.to)) else {
            return Vec::new();
        };
        let label = [Some(edge.types_text()), edge.count_text(self.has_history)];
        let is_certain = edge.is_by_rules() && (edge.runs() > 0 || !self.has_history);
        let launches = Launches { label: label.into_iter().flatten().collect(), is_certain };
        let joins: Vec<Id> = edge.joins.iter().filter_map(|name| self.join_id(name)).collect();
        if joins.is_empty() {
            return vec![Arrow { from, to, kind: ArrowKind::Launches(launches) }];
        }
        let through = |join| {
            let releases = ArrowKind::Releases { worker: &edge.to, is_certain };
            [
                Arrow { from, to: join, kind: ArrowKind::Enters(launches.clone()) },
                Arrow { from: join, to, kind: releases },
            ]
        };
        joins.into_iter().flat_map(through).collect()
    }

    fn worker_id(&self, name: &str) -> Option<Id> {
        self.workers.iter().position(|node| node.name == name).map(Id::Worker)
    }

    fn join_id(&self, name: &str) -> Option<Id> {
        self.joins.iter().position(|join| join.name == name).map(Id::Join)
    }
}
