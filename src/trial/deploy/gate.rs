//! The gate: the steps that rules must pass before they are put in force.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Config;
use crate::rules::{Engine, RuleSet, RulesLoadError};
use crate::store::{History, JournalError};
use crate::trial::check;
use crate::trial::replay::{self, ReplayOptions, ReplaySummary};
use crate::trial::test::{self, TestError};

/// Rules that are to be put in force.
pub struct Candidate<'a> {
    /// The configuration that names the rules in force.
    pub config: &'a Config,
    /// The edited file.
    pub edited: &'a Path,
    /// The time from which on messages are replayed.
    pub since: Timestamp,
    /// A function that is called from time to time with the progress of the replay and its total.
    pub progress: &'a dyn Fn(u64, u64),
}

/// The result of a step of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateResult {
    /// The name of the step.
    pub name: &'static str,
    /// Whether the rules may be put in force.
    pub passed: bool,
    /// The findings, for people.
    pub text: String,
}

/// A step that judges loaded rules.
type GateStep = fn(&Candidate<'_>, &Engine) -> GateResult;

/// The steps after loading, in order. Further requirements belong here.
const STEPS: &[GateStep] = &[check, tests, replay];

/// Load the rules and run every step on them. No step runs on rules that cannot be loaded.
pub fn gate(candidate: &Candidate<'_>) -> (Result<Engine, RulesLoadError>, Vec<GateResult>) {
    let rule_set = RuleSet::of(candidate.config);
    let loaded = rule_set.load(Some(candidate.edited));
    let refused = match &loaded {
        Ok(engine) => in_force(candidate.config, &rule_set)
            .iter()
            .find_map(|in_force| rule_set.lost(in_force, engine, candidate.edited)),
        Err(error) => Some(error.clone()),
    };
    let text = match (&loaded, &refused) {
        (Ok(engine), None) => {
            let count = engine.functions().len();
            let rules = if count == 1 { "rule" } else { "rules" };
            format!("{count} {rules} in {}", candidate.edited.display())
        }
        (_, error) => error.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let mut results = vec![GateResult { name: "load", passed: refused.is_none(), text }];
    if let Ok(engine) = &loaded {
        results.extend(STEPS.iter().map(|step| step(candidate, engine)));
    }
    (loaded, results)
}

/// Return the rules that a manager has, and those in the file, which it may have refused.
fn in_force(config: &Config, rule_set: &RuleSet) -> Vec<Engine> {
    let of_manager = || {
        let history = History::open(&config.journal.folder).ok()?;
        let generation = history.rules_in_force().ok()??.generation;
        let files = history.rule_files(generation).ok().filter(|files| !files.is_empty())?;
        Engine::of_files(&files, &rule_set.module, &rule_set.options).ok()
    };
    of_manager().into_iter().chain(rule_set.load(None)).collect()
}

/// Check the rules. They must have no error that the rules in force lack.
fn check(candidate: &Candidate<'_>, engine: &Engine) -> GateResult {
    let report = check::check(candidate.config, engine, true);
    let mut text = report.to_text().trim_end().to_owned();
    let mut passed = !report.has_errors();
    // Rules in force that cannot be loaded have no known errors.
    if !passed && let Ok(in_force) = RuleSet::of(candidate.config).load(None) {
        let known = check::check(candidate.config, &in_force, true);
        passed = report.errors().all(|error| known.errors().any(|known| known.what == error.what));
        if passed {
            text += "\nthe rules in force have the same errors";
        }
    }
    GateResult { name: "check", passed, text }
}

/// Run the rules' own tests. None may fail.
fn tests(candidate: &Candidate<'_>, _engine: &Engine) -> GateResult {
    let set = RuleSet::of(candidate.config);
    let ran = set.place().map_err(TestError::from).and_then(|place| {
        let files = test::files(&place)?;
        // The tests share one engine, so it must not serve anything else.
        let engine = set.load(Some(candidate.edited))?;
        test::run(&Arc::new(candidate.config.clone()), engine, &place, &files, None)
    });
    let (passed, text) = match ran {
        Ok(report) if report.tests.is_empty() => (true, "the rules have no tests".to_owned()),
        Ok(report) => (report.failed() == 0, report.text_of_failures()),
        Err(error) => (false, error.to_string()),
    };
    GateResult { name: "test", passed, text }
}

/// The text about a replay that compared nothing.
const NOTHING_COMPARED: &str =
    "nothing could be compared, so the replay says nothing about what these rules would launch";

/// Replay the messages of the past. No rule may fail that did not fail before.
fn replay(candidate: &Candidate<'_>, engine: &Engine) -> GateResult {
    let options = ReplayOptions {
        since: Some(candidate.since),
        until: Some(Timestamp::now().max(candidate.since)),
        ..ReplayOptions::default()
    };
    let report = History::open(&candidate.config.journal.folder)
        .and_then(|history| replay::replay(&history, candidate.config, engine, &options, candidate.progress));
    let (passed, text) = match report {
        Ok(report) => {
            let ReplaySummary { messages, newly_fail, not_comparable, .. } = report.summary;
            let nothing = if messages > 0 && messages == not_comparable { NOTHING_COMPARED } else { "" };
            (newly_fail == 0, report.text() + nothing)
        }
        Err(JournalError::None { .. }) => (true, "there is no journal yet, so nothing to replay".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    GateResult { name: "replay", passed, text: text.trim_end().to_owned() }
}
