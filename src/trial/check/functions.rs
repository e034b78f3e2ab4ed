//! Registered workers and the `after_` functions of the rules: each must have the other.

use super::places::{MOST_PROBLEMS, Places};
use super::problem::{RuleProblem, RuleSeverity};
use crate::config::Config;
use crate::rules::{Engine, RuleFunction};
use error_text::closest;
use nowcast_core::RegisteredWorker;

/// The message types that the manager answers itself, so that no rule sees them.
pub(super) const ANSWERED_BY_THE_MANAGER: [&str; 2] = ["need", "clear checklist"];

/// Return the types of a worker's messages that reach its rule.
pub(super) fn types_for_rules(worker: &RegisteredWorker) -> impl Iterator<Item = &String> {
    worker.messages.keys().filter(|r#type| !ANSWERED_BY_THE_MANAGER.contains(&r#type.as_str()))
}

/// Report registered workers without a function.
pub(super) fn missing(config: &Config, engine: &Engine, places: &Places) -> Vec<RuleProblem> {
    let unregistered = || engine.functions().iter().filter(|function| !is_registered(config, function));
    let mut problems = Vec::new();
    for (worker, registered) in &config.registry.workers {
        let name = format!("after_{worker}");
        let has_function = engine.functions().iter().any(|function| function.name == name);
        let Some(r#type) = types_for_rules(registered).next().filter(|_| !has_function) else { continue };
        let what = format!("the registered worker `{worker}` has no function `{name}`");
        let mut problem = places.whole(RuleSeverity::Error, "no function", what);
        problem.notes.push(format!("its messages, `{type}` for instance, would lead to nothing"));
        let others = unregistered().map(|function| function.name.strip_prefix("after_").unwrap_or_default());
        problem.notes.push(match closest(worker, others) {
            Some(close) => format!("is it `after_{close}`, which belongs to no registered worker?"),
            None => format!("add `function {name}(msg, config, checklist) return {{}} end`"),
        });
        problems.push(problem);
        if problems.len() > MOST_PROBLEMS {
            break;
        }
    }
    places.limited(problems, RuleSeverity::Error, "registered workers")
}

/// Report functions whose worker is not registered.
pub(super) fn unregistered(config: &Config, engine: &Engine, places: &Places) -> Vec<RuleProblem> {
    let workers = &config.registry.workers;
    let without = |worker: &&String| {
        let name = format!("after_{worker}");
        !engine.functions().iter().any(|function| function.name == name)
    };
    let mut problems = Vec::new();
    for function in engine.functions().iter().filter(|function| !is_registered(config, function)) {
        let RuleFunction { name, chunk, line } = function;
        let worker = name.strip_prefix("after_").unwrap_or(name);
        let what = format!("`{name}` is never called: no worker `{worker}` is registered");
        let kind = (RuleSeverity::Warning, "function without a worker");
        let mut problem = places.at(kind, (chunk, *line), Some(name), what);
        let close =
            closest(worker, workers.keys().filter(without)).or_else(|| closest(worker, workers.keys()));
        problem.notes.push(match close {
            Some(close) => format!("did you mean `after_{close}`?"),
            None => "add the worker under `message registry: workers:`, or remove the function".to_owned(),
        });
        problems.push(problem);
        if problems.len() > MOST_PROBLEMS {
            break;
        }
    }
    places.limited(problems, RuleSeverity::Warning, "functions")
}

fn is_registered(config: &Config, function: &RuleFunction) -> bool {
    let worker = function.name.strip_prefix("after_").unwrap_or_default();
    config.registry.workers.contains_key(worker)
}
