//! Calls of `last` for a worker or a message type that does not exist, found without running them.

use full_moon::LuaVersion;
use full_moon::ast::{Call, FunctionCall, Prefix, Suffix, VarExpression};
use full_moon::visitors::Visitor;

use super::functions::types_for_rules;
use super::places::Places;
use super::problem::{RuleProblem, RuleSeverity};
use super::scope::{self, Name};
use super::type_tests::{arguments, literal};
use crate::config::Config;
use error_text::question;

/// A call of `last` with literals, at its place.
struct LastCall {
    place: Name,
    worker: (Name, String),
    r#type: Option<(Name, String)>,
}

/// Return a problem for each call that never finds a message, in the order of the files.
pub(super) fn problems(config: &Config, places: &Places) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    for text in &places.texts {
        // The check of names reports files that cannot be read.
        let Ok(globals) = scope::globals(&text.text) else { continue };
        let calls = scope::with_room(&text.text, of_text).unwrap_or_default();
        for call in calls.into_iter().filter(|call| globals.reads.contains(&call.place)) {
            let (place, worker) = &call.worker;
            let workers = &config.registry.workers;
            let Some(registered) = workers.get(worker) else {
                let kind = (RuleSeverity::Warning, "unregistered worker");
                let what = format!("`last` finds no message of `{worker}`, which is not registered");
                let mut problem = places.name(kind, text, place, what);
                let remedy = "add it under `message registry: workers:`";
                problem.notes.push(question(worker, workers.keys()).unwrap_or_else(|| remedy.to_owned()));
                problems.push(problem);
                continue;
            };
            let types: Vec<&str> = types_for_rules(registered).map(String::as_str).collect();
            if let Some((place, r#type)) = &call.r#type
                && !types.contains(&r#type.as_str())
            {
                let kind = (RuleSeverity::Warning, "unknown message type");
                let what =
                    format!("`last` finds no message of type `{type}`, which `{worker}` does not send");
                let mut problem = places.name(kind, text, place, what);
                let remedy = || format!("it has {}", types.join(", "));
                problem.notes.push(question(r#type, &types).unwrap_or_else(remedy));
                problems.push(problem);
            }
        }
    }
    problems
}

fn of_text(text: &str) -> Vec<LastCall> {
    let mut finder = LastCallFinder::default();
    finder.visit_ast(full_moon::parse_fallible(text, LuaVersion::lua54()).ast());
    finder.calls
}

#[derive(Default)]
struct LastCallFinder {
    calls: Vec<LastCall>,
}

impl Visitor for LastCallFinder {
    fn visit_function_call(&mut self, call: &FunctionCall) {
        self.call(call.prefix(), call.suffixes().next());
    }

    /// Note a call such as `last("…", "…").payload`.
    fn visit_var_expression(&mut self, path: &VarExpression) {
        self.call(path.prefix(), path.suffixes().next());
    }
}

impl LastCallFinder {
    fn call(&mut self, prefix: &Prefix, suffix: Option<&Suffix>) {
        let (Prefix::Name(token), Some(Suffix::Call(Call::AnonymousCall(given)))) = (prefix, suffix) else {
            return;
        };
        let place = scope::name(token);
        let given = arguments(given);
        let mut given = given.into_iter();
        if place.text == "last"
            && let Some(worker) = given.next().and_then(literal)
        {
            self.calls.push(LastCall { place, worker, r#type: given.next().and_then(literal) });
        }
    }
}
