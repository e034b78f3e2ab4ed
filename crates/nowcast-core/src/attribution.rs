//! Finds the run that a message reports for.
//!
//! Our own workers name their run. A worker that was written for NEMO_Nowcast does not, but what it was launched with nearly always returns
//! in its message: `success nowcast-green` comes from the run with the argument `nowcast-green`.

use std::collections::BTreeSet;

use crate::message::Message;
use crate::run::{Number, Run, RunId, RunReport, Stage};
use crate::state::State;
use pyyaml::Value;

/// The run that a message reports for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribution {
    pub(super) run: RunId,
    /// A run of another cycle that fits as well.
    pub(super) rival: Option<RunId>,
}

impl State {
    /// Return the run that a message reports for; `None` if it reports for none.
    ///
    /// It is the run that the message names if that is its worker's: a closed one reports for none. Else it is the run of its worker,
    /// among those without a final report, whose arguments occur most in the message; among equals, the oldest without any report, else the
    /// oldest. A message that names a cycle reports for a run of that cycle only, and one that `is_of_no_cycle` for a run without one.
    pub(super) fn run_of(&self, message: &Message, is_of_no_cycle: bool) -> Option<Attribution> {
        if let Some(named) = message.run.as_ref().and_then(|run| run.parse().ok()).map(Number) {
            let run = self.runs.get(&named)?;
            // If the names differ, the sender inherited the number from the worker that started it.
            if run.worker.name() == message.source {
                // A pending run cannot report: the number is that of a run in an earlier journal.
                let is_begun = !matches!(run.stage, Stage::Pending { .. });
                return is_begun.then_some(Attribution { run: named, rival: None });
            }
        }
        let has_reported = |run: &Run| run.report.as_ref().is_some_and(RunReport::is_final);
        let is_any_cycle = message.cycle.is_none() && !is_of_no_cycle;
        let is_of_cycle = |run: &Run| is_any_cycle || message.cycle == run.cycle;
        let may_report = move |run: &&Run| !has_reported(run) && is_of_cycle(run);
        let unreported = || self.runs.begun(&message.source).filter(may_report);
        let oldest = unreported().next()?;
        let is_alike = unreported().all(|run| run.worker.args == oldest.worker.args);
        let words = (!is_alike).then(|| MessageWords::of(message));
        let fit = |run: &Run| (words.as_ref().map_or(0, |words| words.count(run)), run.report.is_none());
        let best = unreported().map(fit).max()?;
        let mut equals = unreported().filter(|run| fit(run) == best);
        let run = equals.next()?;
        let rival = equals.find(|other| other.cycle != run.cycle);
        Some(Attribution { run: run.id, rival: rival.map(|other| other.id) })
    }
}

/// The most bytes of a payload that are searched: what a worker was launched with stands at the top of a report, and the manager's loop waits.
const SEARCHED: usize = 65_536;

/// The words of a message's type and payload.
struct MessageWords {
    /// The type and each scalar of the payload, in lines.
    text: String,
    /// Each word in `text`.
    words: BTreeSet<String>,
}

impl MessageWords {
    fn of(message: &Message) -> Self {
        let mut text = format!("{}\n", message.r#type);
        add_scalars(&message.payload, &mut text);
        // A dot may end a sentence.
        let words = text.split(|char| !is_of_word(char));
        let words = words.flat_map(|word| [word, word.trim_end_matches('.')]).map(str::to_owned).collect();
        Self { text, words }
    }

    /// Return how many different arguments of a run occur. Names of options say nothing, but their values do.
    fn count(&self, run: &Run) -> usize {
        let is_option =
            |arg: &str| arg.starts_with('-') && !arg[1..].starts_with(|char: char| char.is_ascii_digit());
        let values = run.worker.args.iter().filter_map(|arg| {
            if is_option(arg) { arg.split_once('=').map(|(_, value)| value) } else { Some(arg.as_str()) }
        });
        let values: BTreeSet<&str> = values.filter(|value| !value.is_empty()).collect();
        values.into_iter().filter(|value| self.has(value)).count()
    }

    fn has(&self, value: &str) -> bool {
        if value.chars().all(is_of_word) {
            return self.words.contains(value);
        }
        let mut places = self.text.match_indices(value);
        places.any(|(at, _)| {
            let (before, after) = (&self.text[..at], &self.text[at + value.len()..]);
            !before.ends_with(is_of_word) && !after.starts_with(is_of_word)
        })
    }
}

/// Add the scalars of a value to a text, in lines, until that is long enough. Every value adds a line, so that no payload takes long.
fn add_scalars(value: &Value, text: &mut String) {
    if text.len() > SEARCHED {
        return;
    }
    match value {
        Value::Str(scalar) => text.extend(scalar.chars().take(SEARCHED)),
        Value::Int(number) => text.push_str(&number.to_string()),
        Value::Date(date) => text.push_str(&date.to_string()),
        Value::DateTime(time) => text.push_str(&time.to_string()),
        Value::List(items) => items.iter().for_each(|item| add_scalars(item, text)),
        Value::Set(items) => items.iter().for_each(|item| add_scalars(item, text)),
        Value::Map(entries) => entries.iter().for_each(|(key, value)| {
            add_scalars(key, text);
            add_scalars(value, text);
        }),
        Value::Null | Value::Bool(_) | Value::BigInt(_) | Value::Float(_) | Value::Bytes(_) => {}
    }
    text.push('\n');
}

/// Return whether a character is a part of a word: names of runs, hosts and dates are one word each.
fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '+')
}
