//! Replays a broker's recording with rules on trial.
//!
//! The core decides the messages in their order, on a state of its own: a launched worker ends when it has reported, or at
//! its timeout. Nothing is launched; the launches are compared with the workers that reported.

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
use nowcast_core::{Effect, Ending, Event, Request, RequestId, RuleCallResult, Rules, RunId, State, decide};
use pyyaml::{Map, Value};
pub use report::{RecordingReport, RecordingSummary};

/// How a recording is decided.
#[derive(Debug, Clone, Default)]
pub struct RecordingOptions {
    /// The checklist that it begins with.
    pub checklist: Map,
    /// Whether each answer stands for itself, and none are taken together.
    pub each: bool,
    /// Answers to messages of that worker only; all are decided.
    pub worker: Option<String>,
}

/// Decides the messages of a recording with rules on trial. Invalid lines, such as the half line that a killed broker leaves,
/// are counted and passed over.
///
/// # Errors
///
/// If the recording cannot be read.
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

/// The rules, and what they answered last.
struct Noting<'a> {
    rules: &'a Engine,
    last: RefCell<Option<RuleResult>>,
}

impl Rules for Noting<'_> {
    fn call_after(
        &self,
        message: &Message,
        config: &Value,
        checklist: &Value,
        now: &ZonedDateTime,
    ) -> RuleCallResult {
        let call = self.rules.call_after(message, config, checklist, now);
        let copy =
            RuleCallResult { location: call.location.clone(), ..RuleCallResult::new(call.result.clone()) };
        self.last.replace(Some(RuleResult::new(copy, &message.source)));
        call
    }
}

struct Trial<'a> {
    state: State,
    rules: Noting<'a>,
    /// The moment up to which all that was due is done.
    looked_at: Timestamp,
    /// When something becomes due next, unless what is open has changed since that was looked for.
    next_due: Option<Timestamp>,
    has_changed: bool,
    /// The messages that had a sender's own name: with the source.
    seen: HashSet<(String, String)>,
    report: RecordingReport,
}

impl Trial<'_> {
    fn decide(&mut self, exchange: &RecordedExchange, shown: Option<&str>) {
        let now = &exchange.at;
        self.pass_time(now);
        self.rules.last.replace(None);
        // A run that it names was one of the manager's that was recorded.
        let message = Message::decode(&exchange.request).map(|message| Message { run: None, ..message });
        let said = message.as_ref().ok().cloned();
        if let Some(Message { source, id: Some(id), .. }) = &said
            && !self.seen.insert((source.clone(), id.clone()))
        {
            // The manager answers it from its journal.
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
        // A worker that has reported ends, so that limits on how many run at once do not stand in the next one's way.
        if let Some(run) = reported_for {
            self.end(run, Ending::Status(0), now);
        }
        // No manager adopts them.
        self.state.parked.clear();
    }

    /// Does what becomes due before a moment: launches that waited for their time, joins that are overdue.
    fn pass_time(&mut self, now: &ZonedDateTime) {
        while let Some(due) = self.next_due().filter(|due| *due <= now.timestamp()) {
            let at = due.max(self.looked_at);
            let moment = at.to_zoned_datetime(now.time_zone().clone());
            let effects = decide(&mut self.state, Event::Due, &self.rules, &moment.clone().into());
            self.follow(&effects, &moment);
            self.has_changed = true;
            if at == self.looked_at {
                // Whatever is due still was so before; it waits for something else than the time.
                break;
            }
            self.looked_at = at;
        }
        self.looked_at = self.looked_at.max(now.timestamp());
    }

    fn next_due(&mut self) -> Option<Timestamp> {
        if std::mem::take(&mut self.has_changed) {
            self.next_due = self.state.next_due(self.looked_at);
        }
        self.next_due
    }

    /// Takes in what effects do to runs: they are launched, and those that ran too long end.
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
        let effects =
            decide(&mut self.state, Event::RunEnded { run, ending }, &self.rules, &now.clone().into());
        self.follow(&effects, now);
    }
}
