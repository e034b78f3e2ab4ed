//! The ledger against what happened: launches, messages, the checklist, the schedule.
//!
//! An acknowledged message happens once; one whose sender or worker was killed, at most once.

use std::collections::{BTreeMap, HashMap, HashSet};

use nowcast::store::journal::{EventFilter, EventKind};
use nowcast_core::message::Message;
use nowcast_core::record::{Outcome, RecordedEvent, Speaker};
use nowcast_core::{Command, Number};

use crate::ledger::{BY_OPERATOR, Entries, SentMessage, Start};
use crate::scene::{LAUNCHED, SCHEDULED_EVERY, SOURCES};
use crate::settings::Fault;
use crate::soak::Soak;

/// How many problems of a kind are printed.
const SHOWN: usize = 20;

/// Attempts of a flaky worker.
const ATTEMPTS: u64 = 3;

/// Return all violations.
pub fn problems(soak: &Soak, scheduled_until: jiff::Timestamp) -> Vec<String> {
    let entries = soak.ledger.entries();
    let mut problems = Vec::new();
    let mut add = |kind: &str, found: Vec<String>| {
        if !found.is_empty() {
            let shown: Vec<&str> = found.iter().take(SHOWN).map(String::as_str).collect();
            problems.push(format!("{} × {kind}:\n  {}", found.len(), shown.join("\n  ")));
        }
    };
    add("nothing to judge", idle(&entries));
    add("a line that must not be in the ledger", entries.problems.clone());
    add("launched another number of times than intended", launches(&entries, soak.settings.has(Fault::Disk)));
    add("a run that started twice", started_twice(&entries));
    add("a start that is not that of an ended run", ends(soak, &entries));
    add("no reply though the broker lived", unanswered(&entries));
    add("another schedule", scheduled(soak, &entries, scheduled_until));
    add("a time of the schedule that was launched twice", scheduled_twice(soak));
    let messages = decided(soak);
    add("decided another number of times than sent", messages_once(&entries, &messages));
    add("parked though its rule was not broken", parked(&entries, &messages));
    add("another checklist", checklist(soak, &entries));
    problems
}

impl Entries {
    fn is_excused(&self, token: &str) -> bool {
        self.excuses.contains_key(token)
    }

    /// Whether a message was decided for certain. A program under `exec:` sees no reply; it is enough that nothing of its run
    /// was killed.
    fn is_certain(&self, id: &str, message: &SentMessage) -> bool {
        message.acknowledged.is_some() || message.is_done && !self.is_excused(id)
    }
}

/// The least and the most times that a launch may have happened.
#[derive(Debug, Default, Clone, Copy)]
struct Bounds {
    least: u64,
    most: u64,
}

impl Bounds {
    fn add(&mut self, is_certain: bool, most: u64) {
        self.least += if is_certain { most } else { 0 };
        self.most += most;
    }
}

/// A soak in which a kind of worker does nothing proves nothing.
fn idle(entries: &Entries) -> Vec<String> {
    let has_acknowledged = |source: &str, (id, message): (&String, &SentMessage)| {
        message.source == source && entries.is_certain(id, message)
    };
    let silent =
        SOURCES.iter().filter(|source| !entries.messages.iter().any(|item| has_acknowledged(source, item)));
    let has_started = |worker: &str| entries.starts.iter().any(|start| start.worker == worker);
    let unstarted = LAUNCHED.iter().filter(|worker| !has_started(worker));
    silent.chain(unstarted).map(|name| format!("{name} had no part in it")).collect()
}

/// Compare the launches that are intended with the workers that started.
fn launches(entries: &Entries, has_full_disk: bool) -> Vec<String> {
    let intended = intended(entries, has_full_disk);
    let mut started: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for start in entries.starts.iter().filter(|start| start.worker != "tock") {
        *started.entry((&start.worker, &start.token)).or_default() += 1;
    }
    let mut problems = Vec::new();
    for ((worker, token), count) in &started {
        let bounds = intended.get(&((*worker).to_owned(), (*token).to_owned())).copied().unwrap_or_default();
        if *count < bounds.least || *count > bounds.most {
            problems.push(format!("{worker} {token}: {count} times, intended {bounds:?}"));
        }
    }
    let is_missing = |worker: &str, token: &str| !started.contains_key(&(worker, token));
    for ((worker, token), bounds) in intended.iter().filter(|(_, bounds)| bounds.least > 0) {
        if is_missing(worker, token) {
            problems.push(format!("{worker} {token}: never, intended {bounds:?}"));
        }
    }
    problems
}

/// Return how many times each launch is intended, by worker and token.
fn intended(entries: &Entries, has_full_disk: bool) -> BTreeMap<(String, String), Bounds> {
    let mut intended: BTreeMap<(String, String), Bounds> = BTreeMap::new();
    for (id, message) in &entries.messages {
        for launch in &message.launches {
            intended.entry(launch.clone()).or_default().add(entries.is_certain(id, message), 1);
        }
    }
    // Each launch of a stuck worker ends by a crash that the manager makes; its rule launches one more.
    let mut crashes = Bounds::default();
    for bounds in intended.iter().filter(|((worker, _), _)| worker == "stuck").map(|(_, bounds)| bounds) {
        crashes = Bounds { least: crashes.least + bounds.least, most: crashes.most + bounds.most };
    }
    intended.insert(tick("crash-of-stuck"), crashes);
    let mut sleeps = Bounds::default();
    for start in entries.starts.iter().filter(|start| start.worker == "sleep") {
        sleeps.add(!entries.is_excused(&start.token), 1);
    }
    intended.insert(tick("after-sleep"), sleeps);
    for ((worker, token), bounds) in &mut intended {
        let excuses = entries.excuses.get(token).map_or(&[][..], Vec::as_slice);
        let count = excuses.len() as u64;
        if worker == "stuck" && has_full_disk {
            // Its timeout also counts while it cannot be started; then its crash is all that happens.
            bounds.least = 0;
        } else if worker == "flaky" {
            // An attempt that is killed is followed by another one, unless an operator stopped it.
            let is_stopped = excuses.iter().any(|why| why == BY_OPERATOR);
            bounds.least *= if is_stopped { 0 } else { ATTEMPTS };
            bounds.most *= ATTEMPTS + count;
        } else {
            // A worker that is killed may not have begun.
            bounds.least = bounds.least.saturating_sub(count);
        }
    }
    intended
}

fn tick(token: &str) -> (String, String) {
    ("tick".to_owned(), token.to_owned())
}

/// Each worker that started is a run in the journal, which has ended.
fn ends(soak: &Soak, entries: &Entries) -> Vec<String> {
    let history = soak.history().expect("the journal");
    let problem = |start: &Start| match history.run(Number(start.run)).expect("a run") {
        Some(run) if run.worker.name() == start.worker && run.is_closed() => None,
        found => Some(format!("{start:?}: {found:?}")),
    };
    entries.starts.iter().filter_map(problem).collect()
}

/// Each run starts its worker once.
fn started_twice(entries: &Entries) -> Vec<String> {
    let mut seen = HashMap::new();
    let again = |start: &&Start| seen.insert(start.run, start.token.clone()).is_some();
    entries.starts.iter().filter(again).map(|start| format!("{start:?}")).collect()
}

/// A plain worker gets its reply unless it was killed, or the broker was replaced while it waited.
fn unanswered(entries: &Entries) -> Vec<String> {
    let is_plain = |message: &SentMessage| ["feeder", "plain"].contains(&message.source.as_str());
    let has_reason = |id: &str, message: &SentMessage| {
        let until = message.gone.unwrap_or(usize::MAX);
        entries.is_excused(id) || entries.broker.iter().any(|at| (message.sent..until).contains(at))
    };
    let unanswered = entries.messages.iter().filter(|(id, message)| {
        message.acknowledged.is_none() && is_plain(message) && !has_reason(id, message)
    });
    unanswered.map(|(id, message)| format!("{id}: {message:?}")).collect()
}

/// Each time of the schedule is launched once, also those that were missed.
fn scheduled(soak: &Soak, entries: &Entries, until: jiff::Timestamp) -> Vec<String> {
    if soak.settings.has(Fault::Clock) {
        return Vec::new();
    }
    let times = |second: i64| second.div_euclid(i64::try_from(SCHEDULED_EVERY).expect("a small number"));
    let passed = times(until.as_second()) - times(soak.scheduled_since.as_second());
    let started = entries.starts.iter().filter(|start| start.worker == "tock").count();
    let started = i64::try_from(started).expect("a small number");
    // The first and the last may be at the edge.
    if (passed - 1..=passed + 1).contains(&started) {
        Vec::new()
    } else {
        vec![format!("{started} launches for {passed} times")]
    }
}

/// No entry of the schedule is launched twice for a time, however the clock was set.
fn scheduled_twice(soak: &Soak) -> Vec<String> {
    let filter = EventFilter { kind: Some(EventKind::Command), ..EventFilter::default() };
    let records = soak.history().expect("the journal").events(&filter).expect("the commands");
    let launched = records.into_iter().filter_map(|record| match record.event {
        RecordedEvent::Command { command: Command::LaunchScheduled { item, due, .. }, answer, .. } => {
            answer.contains("is launched as run #").then_some((item, due))
        }
        _ => None,
    });
    let mut seen = HashSet::new();
    launched
        .filter(|launch| !seen.insert(launch.clone()))
        .map(|(item, due)| format!("{item} {due}"))
        .collect()
}

/// The decision of a message that names itself.
struct Decided {
    id: Option<String>,
    speaker: Speaker,
    outcome: Outcome,
    source: String,
}

/// Return the messages in the journal that are reports.
fn decided(soak: &Soak) -> Vec<Decided> {
    let filter = EventFilter { kind: Some(EventKind::Message), ..EventFilter::default() };
    let history = soak.history().expect("the journal");
    let records = history.events(&filter).expect("the messages");
    let of_record = |event| {
        let RecordedEvent::Message(record) = event else { return None };
        let message: Message = record.message?;
        let id = message.payload.get("id").and_then(pyyaml::Value::as_str).map(str::to_owned);
        Some(Decided { id, speaker: record.speaker, outcome: record.outcome, source: message.source })
    };
    records.into_iter().filter_map(|record| of_record(record.event)).collect()
}

fn messages_once(entries: &Entries, decided: &[Decided]) -> Vec<String> {
    let mut count: HashMap<&str, u64> = HashMap::new();
    let first = decided.iter().filter(|message| message.speaker != Speaker::Retry);
    for id in first.filter_map(|message| message.id.as_deref()) {
        *count.entry(id).or_default() += 1;
    }
    let unknown = count.keys().filter(|id| !entries.messages.contains_key(**id));
    let mut problems: Vec<String> = unknown.map(|id| format!("{id} was never sent")).collect();
    for (id, message) in entries.messages.iter().filter(|(_, message)| message.source != "launch") {
        let count = count.get(id.as_str()).copied().unwrap_or_default();
        if count > 1 || count == 0 && entries.is_certain(id, message) {
            problems.push(format!("{id}: {count} times, {message:?}"));
        }
    }
    problems
}

/// Messages are parked only by rules with an error: sent before the repair, and acknowledged after the error was saved.
fn parked(entries: &Entries, decided: &[Decided]) -> Vec<String> {
    let was_broken = |id: &Option<String>| {
        let Some(message) = id.as_ref().and_then(|id| entries.messages.get(id)) else { return false };
        let until = message.acknowledged.unwrap_or(usize::MAX);
        entries.broken.iter().any(|(broken, repaired)| message.sent < *repaired && until > *broken)
    };
    let is_parked =
        |decided: &&Decided| matches!(decided.outcome, Outcome::RuleFailed(_) | Outcome::NoFunction(_));
    let wrong = decided.iter().filter(is_parked).filter(|decided| !was_broken(&decided.id));
    wrong.map(|decided| format!("{} {:?}: {:?}", decided.source, decided.id, decided.outcome)).collect()
}

/// The checklist is the fold of the messages. Of messages that were in flight at the same time any may be the last.
fn checklist(soak: &Soak, entries: &Entries) -> Vec<String> {
    let checklist = soak.system.read().expect("no thread panics with it").checklist();
    let mut registers: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (id, message) in entries.messages.iter().filter(|(_, message)| message.source != "launch") {
        registers.entry((&message.source, &message.slot)).or_default().push(id);
        registers.entry((&message.source, "id")).or_default().push(id);
    }
    let mut problems = Vec::new();
    for ((source, key), written) in &registers {
        let found = checklist.get(source).and_then(|entry| entry.get(key)).and_then(pyyaml::Value::as_str);
        let last = last_of(entries, written);
        let is_right = match found {
            Some(found) => last.contains(found),
            None => written.iter().all(|id| !entries.is_certain(id, &entries.messages[*id])),
        };
        if !is_right {
            problems.push(format!("{source}: {key} is {found:?} and may be {last:?}"));
        }
    }
    for source in SOURCES {
        let entry = checklist.get(source).cloned().unwrap_or_default();
        let keys = entry.as_map().into_iter().flatten().filter_map(|(key, _)| key.as_str());
        let is_known =
            |key: &str| registers.contains_key(&(source, key)) || ["launch", "join"].contains(&key);
        problems
            .extend(keys.filter(|key| !is_known(key)).map(|key| format!("{source}: {key} was never sent")));
    }
    problems
}

/// Return the messages that may have been written last: those after which no other one was sent for certain.
fn last_of<'a>(entries: &Entries, written: &[&'a str]) -> HashSet<&'a str> {
    let message = |id: &str| &entries.messages[id];
    let certain = written.iter().filter(|id| entries.is_certain(id, message(id)));
    let last_sent = certain.map(|id| message(id).sent).max().unwrap_or_default();
    let may_be_last = |id: &&str| message(id).acknowledged.is_none_or(|at| at >= last_sent);
    written.iter().copied().filter(may_be_last).collect()
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
