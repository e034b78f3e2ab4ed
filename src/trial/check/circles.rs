//! Joins that wait for themselves: a required worker is launched only by launches that wait in the same join.
//!
//! Only the results of the called rules are judged. Scheduled workers are exempt, and launches by operators are not
//! known.

use indexmap::IndexMap;

use super::functions::types_for_rules;
use super::places::Places;
use super::problem::{RuleProblem, RuleSeverity};
use crate::config::Config;
use crate::rules::parse_place;
use nowcast_core::message::Message;
use nowcast_core::next_worker::last_part;
use nowcast_core::{Requirement, ReturnedLaunches, RuleCallResult};
use pyyaml::Value;

/// The origin of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// The rule of this worker's messages of this type.
    Message { worker: String, r#type: String },
    /// The join of this name, once it is complete.
    Join(String),
}

/// A join that a rule opened.
#[derive(Debug)]
struct CircleJoin {
    name: String,
    wait_for: Vec<Requirement>,
    /// The message that opened it.
    worker: String,
    r#type: String,
    /// The place of its rule.
    place: Option<String>,
    /// Whether launches after a message that counts in it wait in it; not in a join by cycle or since a moment.
    holds_launches: bool,
}

/// All launches and joins in the results of rules.
#[derive(Debug, Default)]
pub(super) struct Circles {
    launches: Vec<(String, By)>,
    opened: Vec<CircleJoin>,
}

impl Circles {
    /// Add the result of a rule.
    pub(super) fn add(&mut self, message: &Message, call: &RuleCallResult, answer: &ReturnedLaunches) {
        let (worker, r#type) = (&message.source, &message.r#type);
        for launched in &answer.next_workers {
            self.launched(launched.name(), By::Message { worker: worker.clone(), r#type: r#type.clone() });
        }
        let Some(join) = &answer.join else { return };
        let name = join.name.clone().unwrap_or_else(|| worker.clone());
        for launched in &join.launch {
            self.launched(launched.name(), By::Join(name.clone()));
        }
        let is_known = |opened: &CircleJoin| {
            (&opened.name, &opened.wait_for, &opened.worker, &opened.r#type)
                == (&name, &join.wait_for, worker, r#type)
        };
        if !self.opened.iter().any(is_known) {
            self.opened.push(CircleJoin {
                name,
                wait_for: join.wait_for.clone(),
                worker: worker.clone(),
                r#type: r#type.clone(),
                place: call.location.clone(),
                holds_launches: join.scope.is_none(),
            });
        }
    }

    fn launched(&mut self, worker: &str, by: By) {
        let launch = (worker.to_owned(), by);
        if !self.launches.contains(&launch) {
            self.launches.push(launch);
        }
    }

    /// Return the joins that wait for themselves. A problem with the same text is reported once.
    pub(super) fn problems(&self, config: &Config, places: &Places) -> Vec<RuleProblem> {
        let mut problems: Vec<RuleProblem> = Vec::new();
        for opened in &self.opened {
            for requirement in &opened.wait_for {
                let Some(by) = self.in_circle(opened, requirement, config) else { continue };
                let what = format!(
                    "the join `{}` waits for `{}`, which is launched only when that join is complete",
                    opened.name, requirement.worker
                );
                if problems.iter().any(|problem| problem.what == what) {
                    continue;
                }
                let kind = (RuleSeverity::Warning, "join waits for itself");
                let mut problem = match opened.place.as_deref().and_then(parse_place) {
                    Some(place) => places.at(kind, place, None, what),
                    None => places.whole(kind.0, kind.1, what),
                };
                problem.notes.push(format!("it is launched {by}"));
                let note =
                    "launch it before the join is opened, or by a message that the join does not wait for";
                problem.notes.push(note.to_owned());
                problem.notes.push(format!("after {} ({})", opened.worker, opened.r#type));
                problems.push(problem);
            }
        }
        problems
    }

    /// Return how a required worker is launched, if it is launched in the join only.
    fn in_circle(&self, opened: &CircleJoin, requirement: &Requirement, config: &Config) -> Option<String> {
        let is_by_its_opener = requirement.count == 1 && matches(requirement, &opened.worker, &opened.r#type);
        let worker = config.registry.workers.get(&requirement.worker)?;
        if is_by_its_opener
            // Another cycle's message came with that cycle's launches.
            || requirement.cycle.is_some()
            || is_scheduled(config, &requirement.worker)
            || types_for_rules(worker).next().is_none()
        {
            return None;
        }
        let mut launches =
            self.launches.iter().filter(|(launched, _)| *launched == requirement.worker).peekable();
        launches.peek()?;
        let mut is_by_join = false;
        let mut types: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for (_, by) in launches {
            match by {
                By::Join(name) if *name == opened.name => is_by_join = true,
                // Launches after a message that counts in a join wait in that join.
                By::Message { worker, r#type }
                    if opened.holds_launches
                        && opened.wait_for.iter().any(|requirement| matches(requirement, worker, r#type)) =>
                {
                    types.entry(worker).or_default().push(r#type);
                }
                _ => return None,
            }
        }
        let by_join = is_by_join.then(|| "by the join itself".to_owned());
        let by_messages = types.iter().map(|(worker, types)| {
            let types = types.join(", ");
            format!("after {worker} ({types}), which counts in the join, so that the launch waits there")
        });
        Some(by_join.into_iter().chain(by_messages).collect::<Vec<_>>().join("; "))
    }
}

fn matches(requirement: &Requirement, worker: &str, r#type: &str) -> bool {
    requirement.worker == worker && requirement.r#type.as_deref().is_none_or(|expected| expected == r#type)
}

/// Return whether a schedule launches a worker.
fn is_scheduled(config: &Config, worker: &str) -> bool {
    let scheduled = config.value.as_map().and_then(|map| map.get(&Value::from("scheduled workers")));
    let Some(Value::List(items)) = scheduled else { return false };
    items
        .iter()
        .filter_map(Value::as_map)
        .flat_map(|item| item.keys())
        .filter_map(Value::as_str)
        .any(|module| last_part(module) == worker)
}
