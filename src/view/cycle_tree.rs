//! [`CycleTree`]: the runs and joins of a cycle below what caused them. Depth, width and size are bounded, and what is left out is
//! counted. It never loads a payload.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::context::ViewContext;
use super::cycle::CycleViews;
use super::run::RunView;
use crate::store::journal::JournalError;
use nowcast_core::cycles::{KeptCycle, NoteScope};
use nowcast_core::join_identity::JoinEnd;
use nowcast_core::{Cycle, Join, Number, Run};

/// The most nodes of a tree, levels of it, and children of one node.
const MOST_NODES: usize = 500;
const MOST_LEVELS: usize = 20;
const MOST_CHILDREN: usize = 100;

/// The runs and joins of a cycle.
#[derive(Debug, Default, Serialize)]
pub struct CycleTree {
    pub nodes: Vec<CycleNode>,
    /// The number of runs and joins that are not in it.
    pub left_out: usize,
}

/// A run or a join, and what it caused.
#[derive(Debug, Serialize)]
pub struct CycleNode {
    pub run: Option<RunView>,
    pub join: Option<CycleJoin>,
    pub children: Vec<CycleNode>,
    /// The number of its children that are left out.
    pub left_out: usize,
}

/// A join by cycle.
#[derive(Debug, Serialize)]
pub struct CycleJoin {
    pub number: u64,
    pub name: String,
    /// How it ended; `None` while it is open.
    pub end: Option<JoinEnd>,
    /// The messages that it still requires, in words.
    pub requires: String,
    pub received: Vec<u64>,
    /// When it was requested first.
    pub opened: Option<Timestamp>,
    pub ended: Option<Timestamp>,
}

impl CycleTree {
    /// Return the tree of a cycle.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn of(
        cycle: &Cycle,
        kept: &KeptCycle,
        views: &CycleViews<'_>,
        context: &ViewContext,
    ) -> Result<Self, JournalError> {
        let runs = views.runs(cycle, kept)?;
        let scope = NoteScope::Cycle(cycle.clone());
        let is_of_cycle =
            |join: &&Join| join.identity.as_ref().is_some_and(|identity| identity.scope == scope);
        let joins: BTreeMap<Number, &Join> =
            views.joins().filter(is_of_cycle).map(|join| (join.id, join)).collect();
        let messages = context.history.messages_of_cycle(cycle, (kept.begun, kept.last))?;
        let senders =
            messages.into_iter().filter_map(|message| Some((message.number, message.run?))).collect();
        let source = TreeSource {
            children: children(&runs, &joins, &senders),
            runs: runs.iter().map(|run| (run.id, run)).collect(),
            joins,
            context,
        };
        source.tree()
    }
}

/// Return the numbers of the runs and joins below each run and join; below 0 those without a cause in the cycle.
fn children(
    runs: &[Run],
    joins: &BTreeMap<Number, &Join>,
    senders: &BTreeMap<Number, Number>,
) -> BTreeMap<Number, BTreeSet<Number>> {
    let known: BTreeSet<Number> = runs.iter().map(|run| run.id).chain(joins.keys().copied()).collect();
    let sender = |message: Number| senders.get(&message).copied();
    let of_runs = runs.iter().map(|run| {
        let join = run.join.filter(|join| joins.contains_key(join));
        (run.id, join.or_else(|| sender(run.cause)))
    });
    let of_joins = joins.values().map(|join| {
        let last = join.received.last().copied().and_then(sender);
        (join.id, last.or_else(|| sender(join.opened_by)))
    });
    let mut children: BTreeMap<Number, BTreeSet<Number>> = BTreeMap::new();
    for (number, parent) in of_runs.chain(of_joins) {
        let parent = parent.filter(|parent| known.contains(parent) && *parent != number);
        children.entry(parent.unwrap_or_default()).or_default().insert(number);
    }
    children
}

/// What a tree is made of.
struct TreeSource<'a> {
    children: BTreeMap<Number, BTreeSet<Number>>,
    runs: BTreeMap<Number, &'a Run>,
    joins: BTreeMap<Number, &'a Join>,
    context: &'a ViewContext,
}

impl TreeSource<'_> {
    fn tree(&self) -> Result<CycleTree, JournalError> {
        let mut room = MOST_NODES;
        let all = self.runs.len() + self.joins.len();
        let (nodes, _) = self.below(Number::default(), 1, &mut room)?;
        Ok(CycleTree { nodes, left_out: all - (MOST_NODES - room) })
    }

    /// Return the nodes below one, and how many of them are left out. A node has one parent, so none is shown twice.
    fn below(
        &self,
        number: Number,
        level: usize,
        room: &mut usize,
    ) -> Result<(Vec<CycleNode>, usize), JournalError> {
        let Some(numbers) = self.children.get(&number) else { return Ok((Vec::new(), 0)) };
        let mut nodes = Vec::new();
        for number in numbers.iter().take(MOST_CHILDREN) {
            if *room == 0 || level > MOST_LEVELS {
                break;
            }
            *room -= 1;
            let (children, left_out) = self.below(*number, level + 1, room)?;
            let join = self.joins.get(number).map(|join| self.join(join)).transpose()?;
            let run = self.runs.get(number).map(|run| RunView::new(run, self.context));
            nodes.push(CycleNode { run, join, children, left_out });
        }
        let left_out = numbers.len() - nodes.len();
        Ok((nodes, left_out))
    }

    fn join(&self, join: &Join) -> Result<CycleJoin, JournalError> {
        let history = &self.context.history;
        let time = |event: Option<Number>| -> Result<Option<Timestamp>, JournalError> {
            let event = event.map(|event| history.event(event)).transpose()?.flatten();
            Ok(event.map(|event| event.at.timestamp()))
        };
        let closed_by = history.join(join.id)?.and_then(|kept| kept.closed_by);
        Ok(CycleJoin {
            number: join.id.0,
            name: join.name.clone(),
            end: join.identity.as_ref().and_then(|identity| identity.end),
            requires: join.requirements(),
            received: join.received.iter().map(|number| number.0).collect(),
            opened: time(Some(join.opened_by))?,
            ended: time(closed_by)?,
        })
    }
}
