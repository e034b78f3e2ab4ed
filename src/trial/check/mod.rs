//! Finds errors in rules before they are in force.
//!
//! First it checks their text: names, functions. Then it calls them with every message that they may get. It never
//! launches or writes anything.

pub(in crate::trial) mod cases;
mod circles;
mod functions;
mod last_calls;
mod names;
mod outcomes;
mod places;
mod problem;
mod rings;
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
use nowcast_core::counted::plural;
use outcomes::OutcomeChecker;
use places::Places;
use trace::trace;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The problems: first those in the text, in the order of the files.
    pub problems: Vec<RuleProblem>,
    /// The extent of the check.
    #[serde(flatten)]
    pub scope: Scope,
}

/// The extent of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The number of `after_` functions.
    pub rules: usize,
    /// The number of message types of registered workers that reach a rule.
    pub message_types: usize,
    /// The number of calls; `None` if rules were not called.
    pub calls: Option<usize>,
    /// The number of messages of the journal among the calls.
    pub recorded_messages: usize,
    /// Whether there were more cases than may be called.
    pub is_cut: bool,
}

impl CheckReport {
    /// Return whether there are problems that make rules fail.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(RuleSeverity::Error) > 0
    }

    /// Return the problems that make rules fail.
    pub fn errors(&self) -> impl Iterator<Item = &RuleProblem> {
        self.problems.iter().filter(|problem| problem.severity == RuleSeverity::Error)
    }

    /// Return the number of problems of a severity.
    #[must_use]
    pub fn count(&self, severity: RuleSeverity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Return the whole report for people, with a closing line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{problem}");
        }
        let scope = &self.scope;
        let mut parts = vec![
            counted(scope.rules, "rule", "rules"),
            counted(scope.message_types, "message type", "message types"),
        ];
        match scope.calls {
            Some(calls) => {
                parts.push(counted(calls, "call", "calls"));
                parts.push(counted(scope.recorded_messages, "recorded message", "recorded messages"));
            }
            None => parts.push("no calls".to_owned()),
        }
        let cut = if scope.is_cut { " (there was more to call; the rest was left out)" } else { "" };
        let errors = counted(self.count(RuleSeverity::Error), "error", "errors");
        let warnings = counted(self.count(RuleSeverity::Warning), "warning", "warnings");
        let _ = writeln!(text, "{}{cut}: {errors}, {warnings}", parts.join(", "));
        text
    }
}

/// Format a count, such as `1,312 calls` or `1 call`.
fn counted(count: usize, one: &str, many: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", plural(&count, one, many))
}

/// Check rules. With `run`, they are also called with the running system's checklist and messages.
#[must_use]
pub fn check(config: &Config, engine: &Engine, run: bool) -> CheckReport {
    let places = Places::new(engine);
    let mut problems = names::problems(engine, &places);
    problems.extend(functions::missing(config, engine, &places));
    problems.extend(functions::unregistered(config, engine, &places));
    problems.extend(types::problems(config, &places));
    problems.extend(last_calls::problems(config, &places));
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

/// Report the problems of rules that cannot be loaded because of `error`. All their files are read.
#[must_use]
pub fn unloadable(config: &Config, edited: Option<&Path>, error: &RulesLoadError) -> CheckReport {
    let problems = syntax::problems(&RuleSet::of(config), edited, error);
    CheckReport { problems, scope: Scope { message_types: message_types(config), ..Scope::default() } }
}

fn message_types(config: &Config) -> usize {
    config.registry.workers.values().map(|worker| functions::types_for_rules(worker).count()).sum()
}

/// Return the problems in the text of rules in force: unknown names, and registered workers without a function. This
/// takes a few milliseconds.
#[must_use]
pub fn at_a_glance(config: &Config, engine: &Engine) -> Vec<RuleProblem> {
    let places = Places::new(engine);
    let mut problems = names::problems(engine, &places);
    problems.extend(functions::missing(config, engine, &places));
    problems
}
