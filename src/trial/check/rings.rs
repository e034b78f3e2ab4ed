//! Endless cycles: rings of launches in which no launch sets a cycle, so that one cycle goes on forever.
//!
//! Only the results of the called rules are judged. A ring ends, and is left out, if one of its workers may report a type that does not
//! continue it: so a worker ends that is launched again until its data are there. Failures do not continue a ring.

use std::collections::{BTreeSet, VecDeque};

use indexmap::IndexMap;

use super::cases::CheckCase;
use super::functions::types_for_rules;
use super::places::Places;
use super::problem::{RuleProblem, RuleSeverity};
use crate::config::Config;
use crate::rules::parse_place;
use nowcast_core::cycles::NoteScope;
use nowcast_core::run::is_failure;
use nowcast_core::{CycleOption, NextWorker, ReturnedLaunches};

/// A worker and a message type.
type RingMessage = (String, String);

/// The message after which a worker is launched, and the messages that may follow.
type RingEdge = (RingMessage, Vec<RingMessage>);

/// The observed launches of an edge.
#[derive(Debug, Default)]
struct RingLaunch {
    place: Option<String>,
    /// Whether one of them sets a cycle, or none.
    sets_cycle: bool,
}

/// All launches in the results of rules.
#[derive(Debug, Default)]
pub(super) struct Rings {
    launches: IndexMap<RingEdge, RingLaunch>,
    /// The launches in each result for a message as it was recorded.
    recorded: Vec<(RingMessage, BTreeSet<usize>)>,
    uses_cycles: bool,
}

impl Rings {
    /// Add the result of a rule.
    pub(super) fn add(&mut self, config: &Config, case: &CheckCase, answer: &ReturnedLaunches) {
        let message = &case.message;
        let node = (message.source.clone(), message.r#type.clone());
        // The launches of a join by cycle are of its cycle.
        let of_scope = answer.join.as_ref().and_then(|join| match &join.scope {
            Some(NoteScope::Cycle(cycle)) => Some(CycleOption::Label(cycle.clone())),
            _ => None,
        });
        let of_join =
            answer.join.iter().flat_map(|join| &join.launch).map(|worker| (worker, of_scope.as_ref()));
        let mut added = BTreeSet::new();
        for (worker, of_scope) in answer.next_workers.iter().map(|worker| (worker, None)).chain(of_join) {
            let entry = self.launches.entry((node.clone(), followers(config, worker)));
            added.insert(entry.index());
            let launch = entry.or_default();
            launch.place = launch.place.take().or_else(|| worker.location.clone());
            let Some(said) = worker.options.cycle.as_ref().or(of_scope) else { continue };
            launch.sets_cycle |= *said != CycleOption::same_as(message.cycle.as_ref());
            self.uses_cycles = true;
        }
        if case.is_as_recorded() {
            self.uses_cycles |= message.cycle.is_some();
            self.recorded.push((node, added));
        }
    }

    /// Return the rings, one of those that have a message in common. A system without cycles has none.
    pub(super) fn problems(&self, config: &Config, places: &Places) -> Vec<RuleProblem> {
        if !self.uses_cycles && config.scheduled.iter().all(|entry| entry.cycle.is_none()) {
            return Vec::new();
        }
        let endless = self.endless();
        let mut covered: BTreeSet<&RingMessage> = BTreeSet::new();
        let mut problems = Vec::new();
        for (start, _) in endless.iter().filter_map(|launch| self.edge(*launch)) {
            if covered.contains(start) {
                continue;
            }
            let Some(ring) = self.ring(start, &endless) else { continue };
            covered.extend(ring.iter().map(|(_, node)| *node));
            problems.push(self.problem(start, &ring, places));
        }
        problems
    }

    fn problem(&self, start: &RingMessage, ring: &[(usize, &RingMessage)], places: &Places) -> RuleProblem {
        let shown = |(worker, r#type): &RingMessage| format!("{worker} ({type})");
        let nodes: Vec<String> =
            std::iter::once(start).chain(ring.iter().map(|(_, node)| *node)).map(shown).collect();
        let what = format!(
            "no launch of this ring sets a cycle, so that its cycle never ends: {}",
            nodes.join(" → ")
        );
        let kind = (RuleSeverity::Warning, "endless cycle");
        // The launch that closes the ring.
        let launch = ring.last().and_then(|(launch, _)| self.launches.get_index(*launch));
        let place = launch.and_then(|(_, launch)| launch.place.as_deref()).and_then(parse_place);
        let mut problem = match place {
            Some(place) => places.at(kind, place, None, what),
            None => places.whole(kind.0, kind.1, what),
        };
        let note =
            "set one at the launch that begins the next forecast: `:with{ cycle = … }`, or `cycle = false`";
        problem.notes.push(note.to_owned());
        problem
    }

    fn edge(&self, launch: usize) -> Option<&RingEdge> {
        self.launches.get_index(launch).map(|(edge, _)| edge)
    }

    /// Return the launches after which a cycle goes on whatever its workers report: all that follows leads to such a launch again.
    fn endless(&self) -> BTreeSet<usize> {
        let launches = self.launches.iter().enumerate();
        let continuing = launches.filter(|(_, ((_, to), facts))| !facts.sets_cycle && !to.is_empty());
        let mut endless: BTreeSet<usize> = continuing.map(|(launch, _)| launch).collect();
        loop {
            // A message that was recorded without such a launch ended the cycle.
            let ended = |node: &RingMessage| {
                let mut recorded = self.recorded.iter().filter(|(of, _)| of == node);
                recorded.any(|(_, launches)| launches.is_disjoint(&endless))
            };
            let goes_on: BTreeSet<&RingMessage> = endless
                .iter()
                .filter_map(|launch| self.edge(*launch))
                .map(|(by, _)| by)
                .filter(|by| !ended(by))
                .collect();
            let is_endless = |launch: &usize| {
                self.edge(*launch).is_some_and(|(by, to)| {
                    goes_on.contains(by) && to.iter().all(|node| goes_on.contains(node))
                })
            };
            let fewer: BTreeSet<usize> = endless.iter().copied().filter(is_endless).collect();
            if fewer.len() == endless.len() {
                return fewer;
            }
            endless = fewer;
        }
    }

    /// Return the shortest way from a message back to itself: each launch with the message that follows.
    fn ring<'a>(
        &'a self,
        start: &RingMessage,
        endless: &BTreeSet<usize>,
    ) -> Option<Vec<(usize, &'a RingMessage)>> {
        let mut ways: VecDeque<Vec<(usize, &RingMessage)>> = VecDeque::from([Vec::new()]);
        let mut seen: BTreeSet<&RingMessage> = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            let at = way.last().map_or(start, |(_, node)| node);
            for launch in endless {
                let Some((_, to)) = self.edge(*launch).filter(|(by, _)| by == at) else { continue };
                for node in to {
                    let longer = [way.as_slice(), &[(*launch, node)]].concat();
                    if node == start {
                        return Some(longer);
                    }
                    if seen.insert(node) {
                        ways.push_back(longer);
                    }
                }
            }
        }
        None
    }
}

/// Return the messages that may follow a launch: the worker's types, without failures, that have the most of its arguments as words.
fn followers(config: &Config, worker: &NextWorker) -> Vec<RingMessage> {
    let Some(registered) = config.registry.workers.get(worker.name()) else { return Vec::new() };
    let count = |r#type: &str| {
        let has = |arg: &&String| r#type.split_whitespace().any(|word| word == arg.as_str());
        worker.args.iter().filter(has).count()
    };
    let types = || types_for_rules(registered).filter(|r#type| !is_failure(r#type));
    let most = types().map(|r#type| count(r#type)).max();
    let best = types().filter(|r#type| Some(count(r#type)) == most);
    best.map(|r#type| (worker.name().to_owned(), r#type.clone())).collect()
}
