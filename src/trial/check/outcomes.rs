//! Problems in the results of called rules: rules that fail, and launches or joins that cannot work.

use indexmap::IndexMap;
use jiff::SignedDuration;

use super::cases::CheckCase;
use super::circles::Circles;
use super::functions::{ANSWERED_BY_THE_MANAGER, types_for_rules};
use super::places::Places;
use super::problem::{RuleProblem, RuleSeverity};
use super::rings::Rings;
use crate::config::Config;
use crate::rules::{FailureParts, parse_place};
use error_text::question;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::{JoinRequest, NextWorker, Requirement, ReturnedLaunches, RuleCallResult, RuleError};

/// The time ahead after which a launch is taken for a mistake: ten years. The engine refuses longer durations.
const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(24 * 3_653);

/// A collection of problems, each place and text once.
pub(super) struct OutcomeChecker<'a> {
    config: &'a Config,
    places: &'a Places,
    found: IndexMap<(String, String), RuleProblem>,
    circles: Circles,
    rings: Rings,
}

impl<'a> OutcomeChecker<'a> {
    pub(super) fn new(config: &'a Config, places: &'a Places) -> Self {
        Self { config, places, found: IndexMap::new(), circles: Circles::default(), rings: Rings::default() }
    }

    /// Return the problems in the order of the files.
    pub(super) fn problems(self) -> Vec<RuleProblem> {
        let circles = self.circles.problems(self.config, self.places);
        let rings = self.rings.problems(self.config, self.places);
        let mut problems: Vec<RuleProblem> = self.found.into_values().chain(circles).chain(rings).collect();
        let texts = &self.places.texts;
        problems.sort_by_key(|problem| {
            (texts.iter().position(|text| text.path == problem.file), problem.line, problem.column)
        });
        problems
    }

    /// Add the result of a call; `was_stopped` if it exceeded a limit.
    pub(super) fn add(&mut self, case: &CheckCase, call: &RuleCallResult, was_stopped: bool) {
        match &call.result {
            Ok(answer) => self.answer(case, call, answer),
            // The check of the text reports it.
            Err(RuleError::NoFunction { .. }) => {}
            Err(RuleError::Failed(text)) => {
                // A case without the notes is not what the system has, if the rule asks for them.
                let is_real = case.is_real() && !call.lacks_notes;
                let is_error = is_real || was_stopped || is_of_the_rule(text);
                let severity = if is_error { RuleSeverity::Error } else { RuleSeverity::Warning };
                self.failure(severity, case, call, text);
            }
        }
    }

    fn put(&mut self, key: &str, problem: RuleProblem) {
        let place = problem.place();
        let known = self.found.entry((place, key.to_owned())).or_insert_with(|| problem.clone());
        // A real case counts more than a generated one.
        if problem.severity < known.severity {
            *known = problem;
        }
    }

    fn failure(&mut self, severity: RuleSeverity, case: &CheckCase, call: &RuleCallResult, text: &str) {
        let FailureParts { place, reason, notes } = FailureParts::of(text);
        let is_of_the_rules =
            |(chunk, _): &(&str, usize)| self.places.texts.iter().any(|text| text.chunk == *chunk);
        let place = place.filter(is_of_the_rules);
        let place = place.or_else(|| call.location.as_deref().and_then(parse_place).filter(is_of_the_rules));
        let mut problem = match place {
            Some(place) => {
                let kind = (severity, "rule fails");
                self.places.at(kind, place, quoted_name(reason), reason.to_owned())
            }
            None => self.places.whole(severity, "rule fails", reason.to_owned()),
        };
        problem.notes.extend(notes.into_iter().map(str::to_owned));
        problem.notes.push(case.text());
        if call.lacks_notes {
            problem.notes.push("it asks for last(…), which finds no message in this check".to_owned());
        }
        // The existing keys are listed after the semicolon, and depend on the case.
        let key = reason.split(';').next().unwrap_or(reason).to_owned();
        self.put(&key, problem);
    }

    fn answer(&mut self, case: &CheckCase, call: &RuleCallResult, answer: &ReturnedLaunches) {
        let of_join = answer.join.iter().flat_map(|join| &join.launch);
        for worker in answer.next_workers.iter().chain(of_join) {
            self.launch(case, call, worker);
            self.options(case, call, worker);
        }
        if let Some(join) = &answer.join {
            self.join(case, call, join);
        }
        self.circles.add(&case.message, call, answer);
        self.rings.add(self.config, case, answer);
    }

    fn at_place(
        &self,
        kind: (RuleSeverity, &'static str),
        place: Option<&str>,
        word: &str,
        what: String,
    ) -> RuleProblem {
        match place.and_then(parse_place) {
            Some(place) => self.places.at(kind, place, Some(word), what),
            None => self.places.whole(kind.0, kind.1, what),
        }
    }

    fn launch(&mut self, case: &CheckCase, call: &RuleCallResult, worker: &NextWorker) {
        let place = worker.location.as_deref().or(call.location.as_deref());
        let (name, host) = (worker.name(), worker.host.as_str());
        let by = format!("after {} ({})", case.message.source, case.message.r#type);
        let workers = &self.config.registry.workers;
        if !workers.contains_key(name) {
            let what = format!("`{name}` is launched and not registered: its messages will be refused");
            let kind = (RuleSeverity::Warning, "unregistered worker");
            let mut problem = self.at_place(kind, place, name, what.clone());
            problem.notes.push(
                question(name, workers.keys())
                    .unwrap_or_else(|| "add it under `message registry: workers:`".to_owned()),
            );
            problem.notes.push(by.clone());
            self.put(&what, problem);
        }
        if host != LOCALHOST && !self.config.hosts.contains_key(host) {
            let what = format!("`{name}` is to be launched on `{host}`, which is not an enabled host");
            let mut problem = self.at_place((RuleSeverity::Error, "unknown host"), place, host, what.clone());
            problem.notes.push(
                question(host, self.config.hosts.keys())
                    .unwrap_or_else(|| "add it under `run: enabled hosts:` or `hosts:`".to_owned()),
            );
            problem.notes.push(by);
            self.put(&what, problem);
        }
    }

    /// Report options without effect.
    fn options(&mut self, case: &CheckCase, call: &RuleCallResult, worker: &NextWorker) {
        let place = worker.location.as_deref().or(call.location.as_deref());
        let (name, options) = (worker.name(), &worker.options);
        let configured = self.config.workers.get(name).and_then(|worker| worker.limits.retries);
        let mut found: Vec<(&str, String, &str)> = Vec::new();
        if options.retry_delay.is_some() && options.retries.or(configured).unwrap_or(0) == 0 {
            let what = format!("`{name}` has a `retry_delay` and no `retries`: it is never launched again");
            found.push(("retry_delay", what, "add `retries = 3`, or leave `retry_delay` out"));
        }
        let latest = case.now.timestamp().checked_add(MOST_AHEAD).ok();
        if let Some(at) = options.at
            && latest.is_some_and(|latest| at > latest)
        {
            let what = format!("`{name}` is to be launched at {at}, more than ten years ahead");
            found.push(("at", what, "look at the year"));
        }
        for (option, what, note) in found {
            let kind = (RuleSeverity::Warning, "option without effect");
            let mut problem = self.at_place(kind, place, option, what.clone());
            problem.notes.push(note.to_owned());
            problem.notes.push(format!("after {} ({})", case.message.source, case.message.r#type));
            self.put(&what, problem);
        }
    }

    fn join(&mut self, case: &CheckCase, call: &RuleCallResult, join: &JoinRequest) {
        for requirement in &join.wait_for {
            let Some((what, note)) = self.never_comes(requirement) else { continue };
            let kind = (RuleSeverity::Error, "join never complete");
            // Of a list of names, only the line of its function is known.
            let place = join.location.as_deref().or(call.location.as_deref());
            let mut problem = self.at_place(kind, place, "", what.clone());
            problem.column = None;
            problem.notes.push(note);
            problem.notes.push(format!("after {} ({})", case.message.source, case.message.r#type));
            self.put(&what, problem);
        }
    }

    /// Return why a required message cannot come, and what to do.
    fn never_comes(&self, requirement: &Requirement) -> Option<(String, String)> {
        let workers = &self.config.registry.workers;
        let name = &requirement.worker;
        let Some(worker) = workers.get(name) else {
            let what =
                format!("a join waits for `{name}`, which is not registered, and will never be complete");
            let note = question(name, workers.keys())
                .unwrap_or_else(|| "add it under `message registry: workers:`".to_owned());
            return Some((what, note));
        };
        let r#type = requirement.r#type.as_ref()?;
        let never = "and will never be complete";
        if ANSWERED_BY_THE_MANAGER.contains(&r#type.as_str()) {
            let what = format!("a join waits for `{name}` ({type}), which counts in no join, {never}");
            return Some((what, "the manager answers that message itself; wait for another type".to_owned()));
        }
        if worker.messages.contains_key(r#type) {
            return None;
        }
        let what = format!(
            "a join waits for `{name}` ({type}), which is not a message type of that worker, {never}"
        );
        let types: Vec<&str> = types_for_rules(worker).map(String::as_str).collect();
        let note = question(r#type, &types).unwrap_or_else(|| format!("it has {}", types.join(", ")));
        Some((what, note))
    }
}

/// Return whether an error is the rule's own, with any input: data has no functions, and names no options. A method may
/// be missing because a value has another type than in production.
fn is_of_the_rule(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.contains("attempt to call a nil value") && !first.contains("(method '")
        || first.contains(": there is no option ")
        || first.contains("Join: there is no key ")
}

/// Return the name in Lua's error, such as `attempt to call a nil value (field 'foo')`.
pub(super) fn quoted_name(text: &str) -> Option<&str> {
    let (before, rest) = text.split_once(" '")?;
    let is_name = ["(field", "(global", "(local", "(method", "(upvalue", "(constant"]
        .iter()
        .any(|kind| before.ends_with(kind));
    rest.split_once("')").map(|(name, _)| name).filter(|name| is_name && *name != "?")
}
