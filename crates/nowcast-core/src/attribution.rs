//! Finds the run that a message reports for.
//!
//! Our own workers name their run. A worker that was written for NEMO_Nowcast does not, but what it was launched with nearly always returns
//! in its message: `success nowcast-green` comes from the run with the argument `nowcast-green`.

use std::collections::BTreeSet;

use crate::message::Message;
use crate::run::{Number, Run, RunId, RunReport, Stage};
use crate::state::State;
use pyyaml::Value;

impl State {
    /// Return the run that a message reports for; `None` if it reports for none.
    ///
    /// It is the run that the message names if that is its worker's: a closed one reports for none. Else it is the run of its worker,
    /// among those without a final report, whose arguments occur most in the message; among equals, the oldest without any report, else the
    /// oldest.
    pub(super) fn run_of(&self, message: &Message) -> Option<RunId> {
        if let Some(named) = message.run.as_ref().and_then(|run| run.parse().ok()).map(Number) {
            let run = self.runs.get(&named)?;
            // If the names differ, the sender inherited the number from the worker that started it.
            if run.worker.name() == message.source {
                // A pending run cannot report: the number is that of a run in an earlier journal.
                return Some(named).filter(|_| !matches!(run.stage, Stage::Pending { .. }));
            }
        }
        let has_reported = |run: &Run| run.report.as_ref().is_some_and(RunReport::is_final);
        let unreported = || self.runs.begun(&message.source).filter(|run| !has_reported(run));
        let oldest = unreported().next()?;
        let is_alike = unreported().all(|run| run.worker.args == oldest.worker.args);
        let words = (!is_alike).then(|| MessageWords::of(message));
        let fits = |run: &Run| (words.as_ref().map_or(0, |words| words.count(run)), run.report.is_none());
        // Of equals, the last one in this order is taken.
        let newest_first = unreported().collect::<Vec<_>>().into_iter().rev();
        newest_first.max_by_key(|run| fits(run)).map(|run| run.id)
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
        let words = text.split(|char| !is_of_word(char)).map(str::to_owned).collect();
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
        if value.chars().all(is_of_word) { self.words.contains(value) } else { self.text.contains(value) }
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

/// Whether a character is a part of a word: names of runs, hosts, dates and times are one word each.
fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '+')
}
