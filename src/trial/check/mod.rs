//! Finds errors in rules before they are in force.
//!
//! First it checks their text: names, functions. Then it calls them with every message that they may get. It must never
//! launch or write anything.

pub(in crate::trial) mod cases;
mod circles;
mod functions;
mod names;
mod outcomes;
mod places;
mod problem;
mod scope;
mod syntax;
pub(in crate::trial) mod trace;
mod type_tests;
mod types;

use std::fmt::Write;
use std::path::Path;

use jiff::ZonedDateTime;
pub use problem::{RuleProblem, RuleSeverity};
use serde::Serialize;

use crate::config::Config;
use crate::rules::{Engine, RuleSet, RulesLoadError};
use cases::CaseSource;
use outcomes::OutcomeChecker;
use places::Places;
use trace::trace;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Everything that is wrong: what the text tells first, in the order of the files.
    pub problems: Vec<RuleProblem>,
    /// How much was looked at.
    #[serde(flatten)]
    pub scope: Scope,
}

/// How much a check looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The `after_` functions.
    pub rules: usize,
    /// The message types of registered workers that reach a rule.
    pub message_types: usize,
    /// How many times rules were called; `None` if they were not to be.
    pub calls: Option<usize>,
    /// How many messages of the journal they were called with.
    pub recorded_messages: usize,
    /// Whether there was more to call than may be.
    pub is_cut: bool,
}

impl CheckReport {
    /// Whether anything is wrong that makes rules fail.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(RuleSeverity::Error) > 0
    }

    /// What makes rules fail.
    pub fn errors(&self) -> impl Iterator<Item = &RuleProblem> {
        self.problems.iter().filter(|problem| problem.severity == RuleSeverity::Error)
    }

    /// How many problems there are of a severity.
    #[must_use]
    pub fn count(&self, severity: RuleSeverity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// All of it for people, with a closing line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{problem}");
        }
        let scope = &self.scope;
        let mut parts = vec![counted(scope.rules, "rule"), counted(scope.message_types, "message type")];
        match scope.calls {
            Some(calls) => {
                parts.push(counted(calls, "call"));
                parts.push(counted(scope.recorded_messages, "recorded message"));
            }
            None => parts.push("no calls".to_owned()),
        }
        let cut = if scope.is_cut { " (there was more to call; the rest was left out)" } else { "" };
        let errors = counted(self.count(RuleSeverity::Error), "error");
        let warnings = counted(self.count(RuleSeverity::Warning), "warning");
        let _ = writeln!(text, "{}{cut}: {errors}, {warnings}", parts.join(", "));
        text
    }
}

/// `1,312 calls`, `1 call`.
fn counted(count: usize, what: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {what}{}", if count == 1 { "" } else { "s" })
}

/// Checks rules. With `run` they are also called, with the running system's checklist and messages.
#[must_use]
pub fn check(config: &Config, engine: &Engine, run: bool) -> CheckReport {
    let places = Places::new(engine);
    let mut problems = names::problems(engine, &places);
    problems.extend(functions::missing(config, engine, &places));
    problems.extend(functions::of_nobody(config, engine, &places));
    problems.extend(types::problems(config, &places));
    let scope =
        Scope { rules: engine.functions().len(), message_types: message_types(config), ..Scope::default() };
    if !run {
        return CheckReport { problems, scope };
    }
    let world = CaseSource::of(config, ZonedDateTime::now());
    for what in &world.unreadable {
        let mut problem = places.whole(RuleSeverity::Warning, "not readable", what.clone());
        problem.file.clone_from(&config.file);
        problem.notes.push("so the rules were called with less than the running system has".to_owned());
        problems.push(problem);
    }
    let mut outcomes = OutcomeChecker::new(config, &places);
    let traced = trace(config, engine, &world, |case, call| outcomes.add(case, call, engine.was_stopped()));
    problems.extend(outcomes.problems());
    let recorded_messages = world.recorded_messages();
    let scope = Scope { calls: Some(traced.calls), is_cut: traced.is_cut, recorded_messages, ..scope };
    CheckReport { problems, scope }
}

/// Tells what is wrong with rules that cannot be loaded for this reason: all their files are read.
#[must_use]
pub fn unloadable(config: &Config, edited: Option<&Path>, error: &RulesLoadError) -> CheckReport {
    let problems = syntax::problems(&RuleSet::of(config), edited, error);
    CheckReport { problems, scope: Scope { message_types: message_types(config), ..Scope::default() } }
}

fn message_types(config: &Config) -> usize {
    config.registry.workers.values().map(|worker| functions::types_for_rules(worker).count()).sum()
}

/// What the text alone tells of rules that are in force: names that are not there, registered workers without
/// a function. It costs a few milliseconds.
#[must_use]
pub fn at_a_glance(config: &Config, engine: &Engine) -> Vec<RuleProblem> {
    let places = Places::new(engine);
    let mut problems = names::problems(engine, &places);
    problems.extend(functions::missing(config, engine, &places));
    problems
}
