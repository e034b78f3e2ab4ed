//! The cases with which a check calls rules: recorded messages, and generated ones.
//!
//! This module never calls a rule.

use std::collections::HashMap;

use jiff::{Span, ZonedDateTime};

use super::functions::types_for_rules;
use crate::config::Config;
use crate::rules::key_text;
use crate::store::History;
use crate::store::journal::{EventFilter, EventKind, JournalError};
use crate::trial::live;
use nowcast_core::checklist::Checklist;
use nowcast_core::message::Message;
use nowcast_core::record::{RecordedEvent, Speaker};
use nowcast_core::run::is_failure;
use nowcast_core::{Cycle, Cycles, Number};
use pyyaml::{Map, Value};

/// The maximum number of the journal's latest messages that are read: half a year of a busy system.
const MESSAGES: u32 = 20_000;
/// The maximum number of recorded messages of each worker and type that are cases.
const OF_EACH_TYPE: usize = 3;
/// The maximum number of keys that are removed from the checklist for each worker and type, one at a time.
const MOST_REMOVED: usize = 100;

/// A message of the journal.
#[derive(Debug, Clone)]
struct JournalMessage {
    number: Number,
    payload: Value,
    cycle: Option<Cycle>,
    /// The checklist before it; `None` if that is no longer known.
    before: Option<Map>,
    /// The cycles and notes of messages with it in them; `None` if they are not known.
    cycles: Option<Cycles>,
    at: ZonedDateTime,
}

/// The data of the running system from which cases are made.
#[derive(Debug)]
pub(in crate::trial) struct CaseSource {
    /// The current checklist; `None` if it is empty, or there is neither journal nor checklist file.
    live: Option<Map>,
    /// The current cycles and notes of messages; `None` without a journal.
    cycles: Option<Cycles>,
    recorded: HashMap<(String, String), Vec<JournalMessage>>,
    now: ZonedDateTime,
    /// The cycle of messages that are not recorded.
    cycle: Option<Cycle>,
    /// The reasons why data could not be read.
    pub(in crate::trial) unreadable: Vec<String>,
}

/// The source of a case's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PayloadOf {
    JournalMessage(Number),
    NotRecorded,
}

/// The source of a case's checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ChecklistOf {
    JournalMessage,
    Now,
    Empty,
    /// A checklist without the value at these keys.
    Without(String),
}

/// The input of a rule.
#[derive(Debug, Clone)]
pub(in crate::trial) struct CheckCase {
    pub(in crate::trial) message: Message,
    /// The checklist, with the message's payload in it.
    pub(in crate::trial) checklist: Value,
    /// The cycles and notes of messages.
    pub(in crate::trial) cycles: Option<Cycles>,
    pub(in crate::trial) now: ZonedDateTime,
    payload_of: PayloadOf,
    checklist_of: ChecklistOf,
}

impl CheckCase {
    /// Return whether the system really has all of this, or will: workers that fail send no payload.
    pub(in crate::trial) fn is_real(&self) -> bool {
        let is_payload_real = match self.payload_of {
            PayloadOf::JournalMessage(_) => true,
            PayloadOf::NotRecorded => self.message.payload.is_null() && is_failure(&self.message.r#type),
        };
        is_payload_real && matches!(self.checklist_of, ChecklistOf::JournalMessage | ChecklistOf::Now)
    }

    /// Return whether message and checklist are as they were recorded.
    pub(in crate::trial) fn is_as_recorded(&self) -> bool {
        matches!(self.payload_of, PayloadOf::JournalMessage(_))
            && self.checklist_of == ChecklistOf::JournalMessage
    }

    /// Return the description of the case.
    pub(in crate::trial) fn text(&self) -> String {
        let payload = match (self.payload_of, self.message.payload.is_null()) {
            (PayloadOf::JournalMessage(number), _) => format!("the payload of message {number}"),
            (PayloadOf::NotRecorded, true) => "no payload".to_owned(),
            (PayloadOf::NotRecorded, false) => "an empty mapping as payload".to_owned(),
        };
        match (&self.checklist_of, self.payload_of) {
            (ChecklistOf::JournalMessage, PayloadOf::JournalMessage(number)) => {
                format!("it fails with message {number} as it was recorded")
            }
            (ChecklistOf::JournalMessage, PayloadOf::NotRecorded) => format!("it fails with {payload}"),
            (ChecklistOf::Now, _) => format!("it fails with {payload} and the current checklist"),
            (ChecklistOf::Empty, _) => {
                format!("it fails with {payload} when the checklist is empty, as after `clear checklist`")
            }
            (ChecklistOf::Without(keys), _) => format!(
                "it fails with {payload} when the checklist lacks `{keys}`, as after `clear checklist`"
            ),
        }
    }
}

impl CaseSource {
    /// Read the data of the running system.
    pub(in crate::trial) fn of(config: &Config, now: ZonedDateTime) -> Self {
        let mut world = Self {
            live: None,
            cycles: None,
            recorded: HashMap::new(),
            now,
            cycle: None,
            unreadable: Vec::new(),
        };
        match live::checklist_if_any(config) {
            Ok(checklist) => {
                // The empty checklist is a case anyway, and rules may fail with it.
                let checklist = checklist.and_then(|checklist| checklist.as_map().cloned());
                world.live = checklist.filter(|checklist| !checklist.is_empty());
            }
            Err(error) => world.unreadable.push(error.to_string()),
        }
        match History::open(&config.journal.folder) {
            Ok(history) => {
                if let Err(error) = world.read(config, &history) {
                    world.unreadable.push(format!("the recorded messages cannot be read: {error}"));
                }
            }
            Err(JournalError::None { .. }) => {}
            Err(error) => world.unreadable.push(format!("the journal cannot be read: {error}")),
        }
        world.cycle = world.cycle.or_else(|| generated_cycle(config, &world.now));
        world.unreadable.dedup();
        world
    }

    fn read(&mut self, config: &Config, history: &History) -> Result<(), JournalError> {
        self.cycles = Some(history.cycles_now()?);
        let filter =
            EventFilter { kind: Some(EventKind::Message), limit: Some(MESSAGES), ..EventFilter::default() };
        for record in history.events(&filter)? {
            let RecordedEvent::Message(decided) = record.event else { continue };
            let Some(message) = decided.message.filter(|_| decided.outcome.is_for_a_rule()) else {
                continue;
            };
            let worker = config.registry.workers.get(&message.source);
            let is_for_rules =
                worker.is_some_and(|worker| types_for_rules(worker).any(|known| *known == message.r#type));
            // A message that was decided again came before.
            if !is_for_rules || decided.speaker == Speaker::Retry {
                continue;
            }
            let of_type = self.recorded.entry((message.source, message.r#type)).or_default();
            if of_type.len() < OF_EACH_TYPE {
                let before = match history.checklist_before(record.number) {
                    Ok(before) => Some(before),
                    Err(JournalError::Pruned(_)) => None,
                    Err(error) => return Err(error),
                };
                // A message is noted before its rule is called.
                let cycles = history.cycles_before(Number(record.number.0 + 1))?;
                let (number, payload, cycle) = (record.number, message.payload, message.cycle);
                // The newest message comes first.
                self.cycle = self.cycle.take().or_else(|| cycle.clone());
                of_type.push(JournalMessage { number, payload, cycle, before, cycles, at: record.at });
            }
        }
        Ok(())
    }

    /// Return the number of messages of the journal that are cases.
    pub(in crate::trial) fn recorded_messages(&self) -> usize {
        self.recorded.values().map(Vec::len).sum()
    }

    fn recorded(&self, worker: &str, r#type: &str) -> &[JournalMessage] {
        self.recorded.get(&(worker.to_owned(), r#type.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Return the payloads for a worker and message type: those recorded, none, and an empty mapping; each once.
    fn payloads(&self, worker: &str, r#type: &str) -> Vec<(PayloadOf, Value)> {
        let recorded = self.recorded(worker, r#type).iter();
        let mut payloads: Vec<(PayloadOf, Value)> = Vec::new();
        let recorded =
            recorded.map(|recorded| (PayloadOf::JournalMessage(recorded.number), recorded.payload.clone()));
        let made_up =
            [Value::Null, Map::new().into()].into_iter().map(|payload| (PayloadOf::NotRecorded, payload));
        for (of, payload) in recorded.chain(made_up) {
            if !payloads.iter().any(|(_, known)| *known == payload) {
                payloads.push((of, payload));
            }
        }
        payloads
    }

    /// Return the cases of a worker and message type: messages as recorded, and with the current and an empty
    /// checklist.
    pub(in crate::trial) fn cases(&self, config: &Config, worker: &str, r#type: &str) -> Vec<CheckCase> {
        let make = Maker { source: self, config, worker, r#type };
        let mut cases = Vec::new();
        for recorded in self.recorded(worker, r#type) {
            if let Some(before) = &recorded.before {
                let payload = (PayloadOf::JournalMessage(recorded.number), recorded.payload.clone());
                cases.push(make.case(payload, (ChecklistOf::JournalMessage, before), &recorded.at));
            }
        }
        let empty = Map::new();
        let live = self.live.as_ref().map(|live| (ChecklistOf::Now, live));
        for checklist in live.into_iter().chain([(ChecklistOf::Empty, &empty)]) {
            for payload in self.payloads(worker, r#type) {
                cases.push(make.case(payload, checklist.clone(), &self.now));
            }
        }
        cases
    }

    /// Return cases whose checklist lacks one of the keys that the rule read, or a key above it.
    pub(in crate::trial) fn cases_without(
        &self,
        config: &Config,
        (worker, r#type): (&str, &str),
        keys_read: &[String],
    ) -> Vec<CheckCase> {
        let newest = || self.recorded(worker, r#type).iter().find_map(|recorded| recorded.before.as_ref());
        let Some(base) = self.live.as_ref().or_else(newest) else {
            return Vec::new();
        };
        let mut paths: Vec<Vec<Value>> = Vec::new();
        for path in keys_read.iter().filter_map(|text| path_of(base, text)) {
            for length in 1..=path.len() {
                let part = path[..length].to_vec();
                if !paths.contains(&part) && paths.len() < MOST_REMOVED {
                    paths.push(part);
                }
            }
        }
        let make = Maker { source: self, config, worker, r#type };
        let mut cases = Vec::new();
        for path in &paths {
            let mut checklist = base.clone();
            remove(&mut checklist, path);
            let shown: Vec<String> = path.iter().map(key_text).collect();
            for payload in self.payloads(worker, r#type) {
                let of = ChecklistOf::Without(shown.join(": "));
                cases.push(make.case(payload, (of, &checklist), &self.now));
            }
        }
        cases
    }
}

/// A maker of cases for one worker and message type.
#[derive(Clone, Copy)]
struct Maker<'a> {
    source: &'a CaseSource,
    config: &'a Config,
    worker: &'a str,
    r#type: &'a str,
}

impl Maker<'_> {
    /// Return a case. The payload is put into the checklist first, as in the manager.
    fn case(
        self,
        (payload_of, payload): (PayloadOf, Value),
        (checklist_of, before): (ChecklistOf, &Map),
        now: &ZonedDateTime,
    ) -> CheckCase {
        let mut checklist = Checklist::new(before.clone());
        let worker = self.config.registry.workers.get(self.worker);
        if let Some(key) = worker.and_then(|worker| worker.checklist_key.as_ref())
            && !payload.is_null()
        {
            checklist.update(key, payload.clone());
        }
        let recorded = self.source.recorded(self.worker, self.r#type);
        let recorded = match payload_of {
            PayloadOf::JournalMessage(number) => recorded.iter().find(|recorded| recorded.number == number),
            PayloadOf::NotRecorded => None,
        };
        let cycle = recorded.map_or_else(|| self.source.cycle.clone(), |recorded| recorded.cycle.clone());
        // The historical ones go with the historical checklist.
        let historical = recorded.filter(|_| checklist_of == ChecklistOf::JournalMessage);
        let historical = historical.and_then(|recorded| recorded.cycles.clone());
        let cycles = historical.or_else(|| self.source.cycles.clone());
        CheckCase {
            message: Message { cycle, ..Message::new(self.worker, self.r#type, payload) },
            checklist: checklist.to_value(),
            cycles,
            now: now.clone(),
            payload_of,
            checklist_of,
        }
    }
}

/// Return the cycle of messages that are not recorded, where no recorded one has a cycle: in the format of the schedule, else a date. It is that of a
/// time long past, so that no rule computes the same one from the current time.
fn generated_cycle(config: &Config, now: &ZonedDateTime) -> Option<Cycle> {
    let past = now.checked_sub(Span::new().years(1)).ok()?;
    match config.scheduled.iter().find_map(|entry| entry.cycle.as_ref()) {
        Some(format) => format.label(&past).ok(),
        None => Cycle::parse(&past.strftime("%Y-%m-%d").to_string()).ok(),
    }
}

/// Return the keys in a checklist that a text such as `NEMO run: nowcast` names, as far as there are mappings.
fn path_of(map: &Map, text: &str) -> Option<Vec<Value>> {
    for (key, value) in map {
        let Some(rest) = text.strip_prefix(&key_text(key)) else { continue };
        if rest.is_empty() {
            return Some(vec![key.clone()]);
        }
        let Some(rest) = rest.strip_prefix(": ") else { continue };
        let below = match value {
            Value::Map(below) => path_of(below, rest),
            // The items of a list are removed with the whole list.
            Value::List(_) | Value::Set(_) => Some(Vec::new()),
            _ => None,
        };
        if let Some(below) = below {
            return Some([vec![key.clone()], below].concat());
        }
    }
    None
}

fn remove(map: &mut Map, path: &[Value]) {
    match path {
        [] => {}
        [key] => {
            map.shift_remove(key);
        }
        [key, rest @ ..] => {
            if let Some(Value::Map(below)) = map.get_mut(key) {
                remove(std::sync::Arc::make_mut(below), rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_read_key_is_found_again() {
        let checklist =
            pyyaml::read("{a: {b: {c: 1, 'd: e': 2}, 5: x}, 'a: b': {z: 1}, l: [{q: 1}]}").unwrap();
        let map = checklist.as_map().unwrap();
        let keys = |text: &str| {
            path_of(map, text).map(|path| path.iter().map(key_text).collect::<Vec<_>>().join("|"))
        };
        assert_eq!(keys("a: b: c").as_deref(), Some("a|b|c"));
        assert_eq!(keys("a: b: d: e").as_deref(), Some("a|b|d: e"));
        assert_eq!(keys("a: 5").as_deref(), Some("a|5"));
        assert_eq!(keys("a: b: z").as_deref(), Some("a: b|z"));
        assert_eq!(keys("l: 1: q").as_deref(), Some("l"));
        assert_eq!(keys("nothing (missing)"), None);
        let mut without = map.clone();
        remove(&mut without, &path_of(map, "a: b: c").unwrap());
        let expected = pyyaml::read("{a: {b: {'d: e': 2}, 5: x}, 'a: b': {z: 1}, l: [{q: 1}]}").unwrap();
        assert_eq!(Value::from(without), expected);
    }
}
