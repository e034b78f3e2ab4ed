//! Replays a broker's recording with rules on trial.
//!
//! The core decides the messages in order, on a state of its own: a launched run ends when its worker has reported, or
//! at its timeout. Nothing is launched; the launches are compared with the workers that reported.

mod report;

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, BufRead};
use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};
use rustix::process::Signal;

use super::replay::{Difference, ReplayedMessage, RuleResult};
use crate::broker::record::RecordedExchange;
use crate::config::Config;
use crate::rules::Engine;
use nowcast_core::checklist::Checklist;
use nowcast_core::message::Message;
use nowcast_core::record::RecordedEvent;
use nowcast_core::{
    Effect, Ending, Event, Request, RequestId, RuleCallResult, RuleInput, Rules, RunId, State, decide,
};
use pyyaml::Map;
pub use report::{RecordingReport, RecordingSummary};

/// The options of a replayed recording.
#[derive(Debug, Clone, Default)]
pub struct RecordingOptions {
    /// The initial checklist.
    pub checklist: Map,
    /// Whether each result is reported separately instead of grouped.
    pub each: bool,
    /// The worker whose results are reported; `None` for all. All messages are decided in any case.
    pub worker: Option<String>,
}

/// Decide the messages of a recording with rules on trial. Invalid lines, such as the partial line that a killed broker
/// leaves, are counted and skipped.
///
/// # Errors
///
/// When the recording cannot be read.
pub fn replay(
    mut recording: impl BufRead,
    config: &Config,
    on_trial: &Engine,
    options: &RecordingOptions,
) -> io::Result<RecordingReport> {
    let mut trial = Trial {
        state: State::new(Arc::new(config.policy()), Checklist::new(options.checklist.clone())),
        rules: Noting { rules: on_trial, last: RefCell::default() },
        looked_at: Timestamp::MIN,
        next_due: None,
        has_changed: true,
        seen: HashSet::new(),
        report: RecordingReport::new(options.each),
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        if recording.read_until(b'\n', &mut line)? == 0 {
            return Ok(trial.report);
        }
        match RecordedExchange::from_line(&line) {
            Some(exchange) => trial.decide(&exchange, options.worker.as_deref()),
            None if line.trim_ascii().is_empty() => {}
            None => trial.report.summary.unreadable += 1,
        }
    }
}

/// The rules, and their last result.
struct Noting<'a> {
    rules: &'a Engine,
    last: RefCell<Option<RuleResult>>,
}

impl Rules for Noting<'_> {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        let call = self.rules.call_after(input);
        let copy =
            RuleCallResult { location: call.location.clone(), ..RuleCallResult::new(call.result.clone()) };
        self.last.replace(Some(RuleResult::new(copy, &input.message.source)));
        call
    }
}

struct Trial<'a> {
    state: State,
    rules: Noting<'a>,
    /// The moment up to which everything due has been decided.
    looked_at: Timestamp,
    /// When something is due next; out of date if `has_changed`.
    next_due: Option<Timestamp>,
    has_changed: bool,
    /// The source and the id of each message that had an id.
    seen: HashSet<(String, String)>,
    report: RecordingReport,
}

impl Trial<'_> {
    fn decide(&mut self, exchange: &RecordedExchange, shown: Option<&str>) {
        let now = &exchange.at;
        self.pass_time(now);
        self.rules.last.replace(None);
        // A run in the message is one of the recorded manager's.
        let message = Message::decode(&exchange.request).map(|message| Message { run: None, ..message });
        let said = message.as_ref().ok().cloned();
        if let Some(Message { source, id: Some(id), .. }) = &said
            && !self.seen.insert((source.clone(), id.clone()))
        {
            // The manager answers a repetition from its journal.
            self.report.summary.repeated += 1;
            return;
        }
        let request =
            Request { id: RequestId(exchange.number), ticket: None, body: exchange.request.clone(), message };
        let effects = decide(&mut self.state, Event::Request(request), &self.rules, &now.clone().into());
        self.report.summary.take(now);
        let number = exchange.number;
        let is_need = said.as_ref().is_some_and(|said| said.r#type == "need");
        let (worker, r#type) = said.map_or_else(Default::default, |said| (said.source, said.r#type));
        let asked = ReplayedMessage { number, time: now, worker: &worker, r#type: &r#type };
        let mut reported_for = None;
        for effect in &effects {
            match effect {
                Effect::Reply { message, .. } => {
                    self.report.reply(asked, is_need, message, &exchange.reply);
                }
                Effect::Journal(record) => {
                    if let RecordedEvent::Message(kept) = &record.event
                        && kept.outcome.is_for_a_rule()
                    {
                        self.report.reported(&worker);
                        reported_for = kept.run;
                    }
                }
                _ => {}
            }
        }
        self.follow(&effects, now);
        if let Some(answered) = self.rules.last.take() {
            let nothing = RuleResult { place: answered.place.clone(), ..RuleResult::default() };
            if let Some(answer) = Difference::between(asked, &nothing, &answered) {
                self.report.answer(answer, shown.is_none_or(|shown| shown == worker));
            }
        }
        // A worker that has reported ends, so that its run does not count in concurrency limits any longer.
        if let Some(run) = reported_for {
            self.end(run, Ending::Status(0), now);
        }
        // In a trial, no operator decides on parked items.
        self.state.parked.clear();
    }

    /// Decide everything that becomes due before a moment, such as delayed launches and overdue joins.
    fn pass_time(&mut self, now: &ZonedDateTime) {
        while let Some(due) = self.next_due().filter(|due| *due <= now.timestamp()) {
            let at = due.max(self.looked_at);
            let moment = at.to_zoned_datetime(now.time_zone().clone());
            let effects = decide(&mut self.state, Event::Due, &self.rules, &moment.clone().into());
            self.follow(&effects, &moment);
            self.has_changed = true;
            if at == self.looked_at {
                // Items that are still due were due before: they wait for something other than time.
                break;
            }
            self.looked_at = at;
        }
        self.looked_at = self.looked_at.max(now.timestamp());
    }

    fn next_due(&mut self) -> Option<Timestamp> {
        if std::mem::take(&mut self.has_changed) {
            self.next_due = self.state.next_due_by_wall_clock(self.looked_at);
        }
        self.next_due
    }

    /// Apply the effects on runs: count launches, and end runs that exceeded their timeout.
    fn follow(&mut self, effects: &[Effect], now: &ZonedDateTime) {
        for effect in effects {
            match effect {
                Effect::Launch { worker, .. } => self.report.launched(worker.name()),
                Effect::StopRun(run) => self.end(*run, Ending::Killed(Signal::TERM.as_raw()), now),
                Effect::Journal(record) => {
                    self.has_changed |= record.changes.iter().any(|change| !change.is_of_checklist());
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, run: RunId, ending: Ending, now: &ZonedDateTime) {
        let effects = decide(
            &mut self.state,
            Event::RunEnded { run, ending, ended_at: None },
            &self.rules,
            &now.clone().into(),
        );
        self.follow(&effects, now);
    }
}
