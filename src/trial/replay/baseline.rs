//! The historical rules, from the journal, ready to be called again.

use crate::rules::{Engine, RuleSet};
use crate::store::JournalError;
use crate::store::journal::{CallHistory, HistoricalRules};

/// The rules of one generation.
#[derive(Debug)]
pub(super) enum Baseline {
    /// The loaded rules.
    Rules(Box<Engine>),
    /// They are the rules on trial.
    OnTrial,
    /// They can no longer be called, for this reason.
    Gone(String),
}

/// The rules of the generation that is being replayed. Messages come in the order of generations, so one is enough.
#[derive(Debug)]
pub(super) struct Baselines<'a> {
    rule_set: &'a RuleSet,
    on_trial: &'a str,
    /// The loaded generation and its rules.
    current: Option<(u64, Baseline)>,
}

impl<'a> Baselines<'a> {
    /// Return baselines without loaded rules. `on_trial` is the hash of the rules on trial.
    pub(super) fn new(rule_set: &'a RuleSet, on_trial: &'a str) -> Self {
        Self { rule_set, on_trial, current: None }
    }

    /// Return the rules of a generation.
    pub(super) fn of(&mut self, generation: u64, past: &CallHistory<'_>) -> Result<&Baseline, JournalError> {
        let current = match self.current.take() {
            Some((of, baseline)) if of == generation => baseline,
            _ => self.load(generation, past)?,
        };
        Ok(&self.current.insert((generation, current)).1)
    }

    fn load(&self, generation: u64, past: &CallHistory<'_>) -> Result<Baseline, JournalError> {
        let Some(HistoricalRules { hash, files }) = past.rules(generation)? else {
            return Ok(Baseline::Gone(format!(
                "the journal does not know the rules of generation {generation}"
            )));
        };
        if hash == self.on_trial {
            return Ok(Baseline::OnTrial);
        }
        if files.is_empty() {
            let now = self.rule_set.load(None).ok().filter(|engine| engine.hash() == hash);
            return Ok(now.map_or_else(
                || Baseline::Gone(format!("the files of the rules of generation {generation} were not kept")),
                |engine| Baseline::Rules(Box::new(engine)),
            ));
        }
        let RuleSet { module, options, .. } = self.rule_set;
        Ok(Engine::of_files(&files, module, options).map_or_else(
            |error| {
                Baseline::Gone(format!(
                    "the rules of generation {generation} cannot be loaded any more: {error}"
                ))
            },
            |engine| Baseline::Rules(Box::new(engine)),
        ))
    }
}
