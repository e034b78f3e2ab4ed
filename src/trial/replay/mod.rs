//! Replays the journal's messages with other rules.
//!
//! Calls of rules are pure, so the historical rules return the same result again for the same input. Both sets of rules
//! get the current configuration, so the result of the historical rules is compared with the journal. The journal is
//! read once, event by event, and never more than one event is held.

mod baseline;
mod difference;
mod report;
mod reproduced;

use jiff::Timestamp;

use self::baseline::{Baseline, Baselines};
use crate::config::Config;
use crate::rules::{Engine, RuleSet};
use crate::store::journal::{CallHistory, CallInput, HistoricalCall};
use crate::store::{History, JournalError};
use difference::first_line;
pub use difference::{Difference, ReplayedJoin, ReplayedMessage, RuleResult, label};
use nowcast_core::record::Outcome;
use nowcast_core::{RuleInput, Rules};
pub use report::{ReplayDocument, ReplayReport, ReplaySummary, grouped};

/// The options of a replay.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// The time of the first message; by default all that are kept.
    pub since: Option<Timestamp>,
    /// The time before which messages are replayed.
    pub until: Option<Timestamp>,
    /// The worker whose messages are replayed; `None` for all.
    pub worker: Option<String>,
    /// Whether each difference is reported separately instead of grouped.
    pub each: bool,
}

/// Replay the messages of the past with the rules on trial, and compare the results with those of the historical rules.
/// `progress` is called from time to time with the number of processed events and of all.
///
/// # Errors
///
/// When the journal cannot be read.
pub fn replay(
    history: &History,
    config: &Config,
    on_trial: &Engine,
    options: &ReplayOptions,
    progress: &dyn Fn(u64, u64),
) -> Result<ReplayReport, JournalError> {
    let rule_set = RuleSet::of(config);
    let mut replay = Replay {
        config,
        on_trial,
        baselines: Baselines::new(&rule_set, on_trial.hash()),
        report: ReplayReport::new(options.since, options.until, options.each),
    };
    history.calls(options.since, options.until, &mut |past, called| {
        let numbers = &past.numbers;
        progress(called.number.0 - numbers.start, numbers.end - numbers.start);
        let is_asked = options.worker.as_ref().is_none_or(|worker| *worker == called.message.source);
        if is_asked { replay.message(past, called) } else { Ok(()) }
    })?;
    Ok(replay.report)
}

/// Why a message whose rule called `last(…)` may not be comparable.
const LACKS_NOTES: &str = "the rule asks for last(…), and the messages that it could find then are not known";

struct Replay<'a> {
    config: &'a Config,
    on_trial: &'a Engine,
    baselines: Baselines<'a>,
    report: ReplayReport,
}

impl Replay<'_> {
    fn message(&mut self, past: &CallHistory<'_>, called: &HistoricalCall<'_>) -> Result<(), JournalError> {
        self.report.summary.messages += 1;
        let number = called.number.0;
        let given = match &called.given {
            Ok(given) => given,
            Err(reason) => {
                self.report.cannot_compare(number, reason);
                return Ok(());
            }
        };
        let recorded = match &called.kept.outcome {
            Outcome::RuleFailed(why) | Outcome::NoFunction(why) => Some(why.as_str()),
            _ => None,
        };
        let was_called =
            called.kept.rule_location.is_some() || matches!(called.kept.outcome, Outcome::NoFunction(_));
        let before = match recorded {
            // There were no rules, or the message had ended the manager twice, so no rule was called.
            Some(why) if !was_called => RuleResult::failed(why),
            _ => match self.baselines.of(called.kept.generation, past)? {
                Baseline::Rules(engine) => call(engine, self.config, called, given),
                Baseline::OnTrial => {
                    let answer = call(self.on_trial, self.config, called, given);
                    if answer.lacks_notes {
                        self.report.cannot_compare(number, LACKS_NOTES);
                        return Ok(());
                    }
                    let is_same = self.check(past, called, recorded, &answer)?;
                    self.report.summary.same_rules += u64::from(is_same);
                    return Ok(());
                }
                Baseline::Gone(reason) => {
                    self.report.cannot_compare(number, reason);
                    self.only_errors(called, given, recorded);
                    return Ok(());
                }
            },
        };
        let after = call(self.on_trial, self.config, called, given);
        if before.lacks_notes || after.lacks_notes {
            self.report.cannot_compare(number, LACKS_NOTES);
            return Ok(());
        }
        if was_called || recorded.is_none() {
            self.check(past, called, recorded, &before)?;
        }
        if let Some(difference) = Difference::between(asked(called), &before, &after) {
            self.report.add(difference);
        }
        Ok(())
    }

    /// Return whether the historical rules, called again, return what the journal has. If not, report it.
    fn check(
        &mut self,
        past: &CallHistory<'_>,
        called: &HistoricalCall<'_>,
        recorded: Option<&str>,
        again: &RuleResult,
    ) -> Result<bool, JournalError> {
        let failed = |error: &str| format!("the error {}", first_line(error));
        let mismatch = match (recorded, &again.error) {
            (Some(_), Some(_)) => None,
            (Some(then), None) => Some((failed(then), "an answer".to_owned())),
            (None, Some(now)) => Some(("an answer".to_owned(), failed(now))),
            (None, None) => reproduced::mismatch(&past.rule_outcome(called.number)?, called, again),
        };
        let is_same = mismatch.is_none();
        if let Some((then, now)) = mismatch {
            self.report.cannot_reproduce(called.number.0, then, now);
        }
        Ok(is_same)
    }

    /// Compare only whether the rule fails, for a message whose historical rules are missing.
    fn only_errors(&mut self, called: &HistoricalCall<'_>, given: &CallInput, recorded: Option<&str>) {
        let after = call(self.on_trial, self.config, called, given);
        if after.lacks_notes || recorded.is_some() == after.error.is_some() {
            return;
        }
        let place = called.kept.rule_location.clone();
        let before = RuleResult { place, error: recorded.map(str::to_owned), ..RuleResult::default() };
        let after = RuleResult { place: after.place, error: after.error, ..RuleResult::default() };
        if let Some(difference) = Difference::between(asked(called), &before, &after) {
            self.report.add(difference);
        }
    }
}

fn asked<'a>(called: &HistoricalCall<'a>) -> ReplayedMessage<'a> {
    let worker = &called.message.source;
    ReplayedMessage { number: called.number.0, time: called.at, worker, r#type: &called.message.r#type }
}

fn call(engine: &Engine, config: &Config, called: &HistoricalCall<'_>, given: &CallInput) -> RuleResult {
    let call = engine.call_after(&RuleInput {
        message: called.message,
        config: &config.value,
        checklist: &given.checklist,
        cycles: given.cycles.as_ref(),
        now: &given.now,
    });
    RuleResult::new(call, &called.message.source)
}
