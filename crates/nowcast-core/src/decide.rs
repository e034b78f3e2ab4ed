//! [`decide`]: from an event to its effects.
//!
//! Everything that the journal keeps is changed by [`State::apply`] only, and each such change is part of the event's record. The
//! policy, the counters and the flags that a restart sets again are set directly.

use crate::alarm::Alarm;
use crate::clock::{ClockReading, Now};
use crate::cycle::Cycle;
use crate::decision_time::DecisionTime;
use crate::effect::Effect;
use crate::event::{Event, PreviousReply, RequestId, Signal};
use crate::level::Level;
use crate::message::Message;
use crate::record::{Change, Record, RecordedEvent};
use crate::rules::{RuleFile, Rules};
use crate::run::Number;
use crate::state::State;
use pyyaml::{Map, Value};
use std::collections::BTreeSet;

/// The source of the manager's own messages.
pub const MANAGER: &str = "manager";

/// Decide on an event: change the state and return the effects. The state is as if all effects had succeeded; one that fails
/// returns as another event.
pub fn decide(state: &mut State, event: Event, rules: &dyn Rules, time: &DecisionTime) -> Vec<Effect> {
    let mut decision = Decision::new(state, rules, time);
    decision.record_clock_step();
    match event {
        Event::Request(request) => decision.handle_request(request),
        Event::PoisonRequest(request) => decision.handle_poison_request(request),
        Event::Repeat { request, previous_reply } => decision.handle_repeat(request, previous_reply),
        Event::RunEnded { run, ending, ended_at } => decision.handle_run_ended(run, ending, ended_at),
        Event::Command { call, user, command, historical_checklist } => {
            decision.handle_command(call, user, command, historical_checklist.as_ref());
        }
        Event::Due => decision.handle_due(),
        Event::RulesLoaded { hash, files } => decision.handle_rules_loaded(hash, files),
        Event::RulesRefused { reason } => {
            decision.state.rules_refused = true;
            decision.begin_record();
            decision.notify(
                Some(Alarm::RefusedRules),
                "",
                None,
                format!("changed rules are refused: {reason}"),
            );
            decision.launch_ready_runs();
            decision.finish_record(RecordedEvent::RulesRefused { reason });
        }
        Event::ChecklistNotWritten { reason } => {
            let text = format!("cannot write the checklist file; trying again every second: {reason}");
            decision.log(Level::Critical, text.clone());
            decision.notify(Some(Alarm::ManagerFailure), "", None, text);
        }
        Event::ChecklistWriteRecovered => {
            decision.log(Level::Warning, "the checklist file can be written again");
        }
        Event::Forecast { forecasts } => decision.handle_forecast(&forecasts),
        Event::ChecklistRead { checklist, why } => decision.read_checklist(checklist, why),
        Event::Signal(signal) => decision.handle_signal(signal),
        Event::Reloaded { policy } => {
            decision.state.policy = policy;
            // Limits may have changed, and with them what may be launched.
            decision.handle_due();
        }
    }
    decision.effects
}

/// Return the effects that stop a manager with `--exit-when-idle` when nothing is left to do, after a batch of events.
#[must_use]
pub fn end_if_idle(state: &State) -> Vec<Effect> {
    if !(state.exit_when_idle && state.is_idle()) {
        return Vec::new();
    }
    let text = "nothing left to do; shutting down";
    vec![Effect::log(Level::Info, text), Effect::Stop { status: u8::from(state.has_failures) }]
}

/// The decision on one event. Other modules add the methods for each kind of event.
pub(super) struct Decision<'a> {
    pub(super) state: &'a mut State,
    pub(super) rules: &'a dyn Rules,
    pub(super) time: &'a DecisionTime,
    /// The same time, for spans.
    pub(super) now: Now,
    /// The reading of the clocks that the next record has, since steady time is counted from it.
    pub(super) reading: Option<ClockReading>,
    pub(super) effects: Vec<Effect>,
    /// The number of the record in progress.
    pub(super) number: Number,
    changes: Vec<Change>,
    /// The cycles of those.
    pub(super) seen_cycles: BTreeSet<Cycle>,
    /// Whether the record's message was noted.
    pub(super) has_noted: bool,
}

impl<'a> Decision<'a> {
    fn new(state: &'a mut State, rules: &'a dyn Rules, time: &'a DecisionTime) -> Self {
        let (now, reading) = (state.now(time), state.clock.next_reading(time));
        let (effects, changes, seen_cycles) = Default::default();
        let (number, has_noted) = (Number(0), false);
        Self { state, rules, time, now, reading, effects, number, changes, seen_cycles, has_noted }
    }

    /// Return the next number of the common sequence.
    pub(super) fn next_number(&mut self) -> Number {
        self.state.last_number += 1;
        Number(self.state.last_number)
    }

    /// Begin a record.
    pub(super) fn begin_record(&mut self) {
        self.number = self.next_number();
        self.seen_cycles.clear();
        self.has_noted = false;
    }

    /// Make a change that needs no payload.
    pub(super) fn change(&mut self, change: Change) {
        self.change_with(change, &Value::Null);
    }

    /// Make a change that uses the payload of the record's message.
    pub(super) fn change_with(&mut self, change: Change, payload: &Value) {
        for cycle in self.state.cycles_of(&change) {
            self.see_cycle(&cycle);
        }
        self.state.apply(&change, payload);
        if change.is_of_checklist() {
            self.state.checklist_event = self.number;
            self.effects.push(Effect::WriteChecklist);
        }
        // If a run changes twice within a record, only its last state is kept.
        if let Change::Run(run) = &change {
            self.changes.retain(|before| !matches!(before, Change::Run(before) if before.id == run.id));
        }
        self.changes.push(change);
    }

    /// Give the record to the journal. Callers launch the ready runs first, since what they decided may have made runs ready.
    pub(super) fn finish_record(&mut self, event: RecordedEvent) {
        self.add_clock_reading();
        self.state.clock.last_event = Some(self.now.wall);
        let changes = std::mem::take(&mut self.changes);
        let record = Record { number: self.number, at: self.time.wall.clone(), event, changes };
        self.effects.push(Effect::Journal(Box::new(record)));
    }

    /// Finish a record that is needed only if it changed something.
    pub(super) fn finish_record_if_changed(&mut self, event: RecordedEvent) {
        if !self.changes.is_empty() || self.reading.is_some() {
            self.finish_record(event);
        } else if self.number.0 == self.state.last_number {
            // The number can be used again.
            self.state.last_number -= 1;
        }
    }

    pub(super) fn log(&mut self, level: Level, text: impl Into<String>) {
        self.effects.push(Effect::log(level, text));
    }

    pub(super) fn reply(&mut self, request: RequestId, r#type: &str, payload: Value) {
        let message = Message::new(MANAGER, r#type, payload);
        self.effects.push(Effect::Reply { request, message });
    }

    /// Reply to a repeated message with its previous reply; to a `need` with the current entry.
    fn handle_repeat(&mut self, request: RequestId, previous: PreviousReply) {
        let PreviousReply { number, reply, payload, need } = previous;
        self.log(Level::Debug, format!("message {number} was repeated; its reply is sent again: {reply}"));
        let payload = match need {
            Some(key) => self.state.checklist.get(&key).cloned().unwrap_or_default(),
            None => payload,
        };
        self.reply(request, &reply, payload);
    }

    fn handle_rules_loaded(&mut self, hash: String, files: Vec<RuleFile>) {
        let (generation, before) = self.state.rules.clone();
        let was_refused = std::mem::take(&mut self.state.rules_refused);
        if before == hash && !was_refused {
            return;
        }
        self.begin_record();
        let generation = if before == hash { generation } else { generation + 1 };
        self.change(Change::Rules(generation, hash.clone(), files));
        self.launch_ready_runs();
        self.finish_record(RecordedEvent::RulesLoaded { generation, hash });
    }

    fn read_checklist(&mut self, checklist: Map, why: String) {
        let checklist = Value::from(checklist);
        if checklist == self.state.checklist.to_value() {
            return;
        }
        self.begin_record();
        let is_first = self.state.checklist.is_empty();
        self.log(if is_first { Level::Info } else { Level::Warning }, why.clone());
        self.change(Change::ChecklistReplaced { checklist });
        self.launch_ready_runs();
        self.finish_record(RecordedEvent::ChecklistRead { why });
    }

    fn handle_signal(&mut self, signal: Signal) {
        self.log(Level::Info, signal.log_text());
        self.effects.push(match signal {
            Signal::Hangup => Effect::Reload,
            Signal::Interrupt | Signal::Terminate => Effect::Stop { status: 0 },
        });
    }
}
