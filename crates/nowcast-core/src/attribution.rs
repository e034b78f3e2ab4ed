//! Finds the run that a message reports for.
//!
//! Our own workers name their run. A worker that was written for NEMO_Nowcast does not, but what it was launched with nearly always returns
//! in its message: `success nowcast-green` comes from the run with the argument `nowcast-green`.

use std::collections::BTreeSet;

use crate::message::Message;
use crate::run::{Number, Run, RunId, RunReport, Stage};
use crate::state::State;
use pyyaml::Keys;

impl State {
    /// Return the run that a message reports for; `None` if it reports for none.
    ///
    /// It is the run that the message names if that is its worker's: a closed one reports for none. Else it is the run of its worker,
    /// among those without a final report, whose arguments occur most in the message; among equals, the oldest.
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
        if unreported().nth(1).is_none() {
            return Some(oldest.id);
        }
        let words = Words::of(message);
        let mut best = (oldest, words.count(oldest));
        for run in unreported().skip(1) {
            let count = words.count(run);
            if count > best.1 {
                best = (run, count);
            }
        }
        Some(best.0.id)
    }
}

/// The words of a message's type and payload.
struct Words {
    text: String,
    /// Each word in `text`.
    words: BTreeSet<String>,
}

impl Words {
    fn of(message: &Message) -> Self {
        let text = format!("{}\n{}", message.r#type, pyyaml::write(&message.payload, Keys::AsGiven));
        let words = text.split(|char| !is_of_word(char)).map(str::to_owned).collect();
        Self { text, words }
    }

    /// Return how many different arguments of a run occur. Names of options say nothing, but their values do.
    fn count(&self, run: &Run) -> usize {
        let values = run.worker.args.iter().filter_map(|arg| match arg.strip_prefix('-') {
            Some(option) => option.split_once('=').map(|(_, value)| value),
            None => Some(arg.as_str()),
        });
        let values: BTreeSet<&str> = values.filter(|value| !value.is_empty()).collect();
        values.into_iter().filter(|value| self.has(value)).count()
    }

    fn has(&self, value: &str) -> bool {
        if value.chars().all(is_of_word) { self.words.contains(value) } else { self.text.contains(value) }
    }
}

/// Whether a character is a part of a word: names of runs, hosts, dates and times are one word each.
fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '+')
}
