//! The past that a forecast draws from: runs, what they sent, and the cycles in which they belong together.
//!
//! One pass over the journal's runs reads it; events are read only for attempts that are drawn. Pruned and damaged
//! entries are not guessed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::dates::{self, RunDates};
use super::like::{LikeId, Likeness, Likenesses};
use crate::store::journal::{Attempt, History, JournalError};
use nowcast_core::record::Speaker;
use nowcast_core::{Cycle, Ending, NextWorker, Number, RunId};
use pyyaml::Value;

/// How far back the past counts unless told otherwise: 120 days. Older runs tell little of the season, the machine and the code of today.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(120 * 24);

/// A run without a cycle that comes so much later than the first like one of its day belongs to the day of its own launch. So a ring, in
/// which each launch causes the next one for months, is one day after the other; a worker that is launched again until its data are
/// there, for hours, stays in its day.
pub const SAME_CYCLE: SignedDuration = SignedDuration::from_hours(12);

/// The position of a run among [`PastRuns::runs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunIndex(u32);

/// The position of a cycle among [`PastRuns::cycles`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CycleIndex(u32);

/// What keeps runs together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CycleKey {
    /// A cycle.
    Label(Cycle),
    /// For runs without a cycle: the local day on which the first run of their chain of causes was launched.
    Day(Date),
}

impl fmt::Display for CycleKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(cycle) => write!(out, "cycle {cycle}"),
            Self::Day(day) => write!(out, "{day}"),
        }
    }
}

/// A run that was launched.
#[derive(Debug, Clone)]
pub struct PastRun {
    /// Its number.
    pub id: RunId,
    /// Which runs it is like.
    pub like: LikeId,
    /// Its cycle, or day.
    pub cycle: CycleIndex,
    /// The dates by which those in its messages are moved.
    pub dates: RunDates,
    /// The event whose decision requested it.
    pub cause: Number,
    /// The first run of its chain: a run with its retries and reruns.
    pub chain: RunId,
    /// 1 for the first execution, one more for each retry.
    pub attempt: u32,
    /// When it was launched, by the wall clock.
    pub launched: Timestamp,
    /// How it ended, as far as that is known.
    pub end: PastEnd,
    /// What it sent, `clear checklist` included, in the order of the numbers. A `crash` that the manager reported for it is here as well:
    /// see [`SentMessages`].
    pub messages: Vec<PastMessage>,
}

/// How a run ended, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PastEnd {
    /// By itself.
    Ended {
        /// How long it ran.
        after: SignedDuration,
        /// When, by the wall clock. A worker that waits for data ends by the clock.
        at: Timestamp,
        /// How.
        ending: Ending,
    },
    /// It ran at least so long: it is open, its stop was requested, or its end was not seen.
    Censored {
        /// How long it certainly ran.
        after: SignedDuration,
        /// Whether it still runs.
        is_open: bool,
    },
}

impl PastEnd {
    /// Return what was known of it at a moment, for a run that was launched before.
    fn known_at(&self, launched: Timestamp, moment: Timestamp) -> Self {
        let ended = launched.checked_add(self.after()).unwrap_or(Timestamp::MAX);
        let is_known = match self {
            Self::Ended { at, .. } => *at <= moment,
            Self::Censored { .. } => ended <= moment,
        };
        if is_known {
            self.clone()
        } else {
            Self::Censored { after: moment.duration_since(launched), is_open: true }
        }
    }

    /// Return how long it ran, or ran at least.
    #[must_use]
    pub fn after(&self) -> SignedDuration {
        match self {
            Self::Ended { after, .. } | Self::Censored { after, .. } => *after,
        }
    }
}

/// A message of a run: its number and type, as the run has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// The message.
    pub message: Number,
    /// Its type.
    pub r#type: Arc<str>,
}

/// Runs that belong together: of a cycle, or of a day.
#[derive(Debug, Clone)]
pub struct PastCycle {
    /// The label or the day.
    pub key: CycleKey,
    /// When the first of its runs was launched.
    pub begun: Timestamp,
    /// The local weekday of that.
    pub weekday: Weekday,
    /// Whether one of its runs still runs.
    pub is_open: bool,
    /// Its runs, in the order of their numbers.
    pub runs: Vec<RunIndex>,
    /// The same by likeness.
    pub by_like: BTreeMap<LikeId, Vec<RunIndex>>,
}

impl PastCycle {
    /// Return its runs of a likeness, in the order of their numbers.
    #[must_use]
    pub fn like(&self, like: LikeId) -> &[RunIndex] {
        self.by_like.get(&like).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Runs of the past and their cycles. There is no connection in it, so that threads can share it.
#[derive(Debug, Clone)]
pub struct PastRuns {
    zone: TimeZone,
    likenesses: Likenesses,
    /// In the order of their numbers.
    runs: Vec<PastRun>,
    cycles: Vec<PastCycle>,
    cycle_of: BTreeMap<CycleKey, CycleIndex>,
    by_like: Vec<Vec<RunIndex>>,
    /// The runs that sent messages, in the order of the messages.
    senders: Vec<(Number, RunIndex)>,
}

impl PastRuns {
    /// Read the runs that were requested within a horizon before a moment: [`HORIZON`] is the usual one. Days are those of the zone.
    ///
    /// # Errors
    /// The journal cannot be read or is damaged.
    pub fn read(
        history: &History,
        zone: &TimeZone,
        now: Timestamp,
        horizon: SignedDuration,
    ) -> Result<Self, JournalError> {
        let mut reader = PastReader::new(zone, now);
        let since = now.checked_sub(horizon).unwrap_or(Timestamp::MIN);
        history.attempts(since, |attempt| reader.add(&attempt))?;
        Ok(reader.past)
    }

    /// Return what was known of the runs before an event and at a moment, of those that were launched within a horizon before it.
    #[must_use]
    pub fn before(&self, event: Number, moment: Timestamp, horizon: SignedDuration) -> Self {
        let since = moment.checked_sub(horizon).unwrap_or(Timestamp::MIN);
        let likenesses = self.likenesses.clone();
        let mut past =
            Self { by_like: vec![Vec::new(); likenesses.len()], likenesses, ..Self::new(&self.zone) };
        let is_known = |run: &&PastRun| run.id.0 < event.0 && (since..=moment).contains(&run.launched);
        for run in self.runs.iter().filter(is_known) {
            let cycle = self.cycle(run.cycle);
            let cycle = past.add_cycle(cycle.key.clone(), run.launched);
            let messages = run.messages.iter().filter(|sent| sent.message < event).cloned().collect();
            let end = run.end.known_at(run.launched, moment);
            past.add(PastRun { cycle, end, messages, ..run.clone() });
        }
        past
    }

    fn new(zone: &TimeZone) -> Self {
        Self {
            zone: zone.clone(),
            likenesses: Likenesses::default(),
            runs: Vec::new(),
            cycles: Vec::new(),
            cycle_of: BTreeMap::new(),
            by_like: Vec::new(),
            senders: Vec::new(),
        }
    }

    /// Add a run, whose cycle and likeness are known.
    fn add(&mut self, run: PastRun) {
        // There are fewer runs than 32 bits count: each has a row of hundreds of bytes.
        let index = RunIndex(u32::try_from(self.runs.len()).unwrap_or(u32::MAX));
        for sent in &run.messages {
            self.add_sender(sent.message, index);
        }
        let of_cycle = &mut self.cycles[run.cycle.0 as usize];
        of_cycle.is_open |= matches!(run.end, PastEnd::Censored { is_open: true, .. });
        of_cycle.runs.push(index);
        of_cycle.by_like.entry(run.like).or_default().push(index);
        self.by_like[run.like.index()].push(index);
        self.runs.push(run);
    }

    /// Return the cycle of a key. It begins with this launch if it is not known yet.
    fn add_cycle(&mut self, key: CycleKey, launched: Timestamp) -> CycleIndex {
        if let Some(known) = self.cycle_of.get(&key) {
            return *known;
        }
        // Each has a run, of which there are fewer than 32 bits count.
        let index = CycleIndex(u32::try_from(self.cycles.len()).unwrap_or(u32::MAX));
        self.cycle_of.insert(key.clone(), index);
        let weekday = self.day(launched).weekday();
        let (runs, by_like) = (Vec::new(), BTreeMap::new());
        self.cycles.push(PastCycle { key, begun: launched, weekday, is_open: false, runs, by_like });
        index
    }

    /// Return the zone of its days.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Return the likenesses of its runs. Clone them to add those of runs to come.
    #[must_use]
    pub fn likenesses(&self) -> &Likenesses {
        &self.likenesses
    }

    /// Return the runs, in the order of their numbers.
    #[must_use]
    pub fn runs(&self) -> &[PastRun] {
        &self.runs
    }

    /// Return the cycles, in the order of their first runs.
    #[must_use]
    pub fn cycles(&self) -> &[PastCycle] {
        &self.cycles
    }

    /// Return the cycles with their positions.
    pub fn indexed_cycles(&self) -> impl Iterator<Item = (CycleIndex, &PastCycle)> {
        (0..).map(CycleIndex).zip(&self.cycles)
    }

    /// Return a run by its position.
    ///
    /// # Panics
    /// If the position is that of other runs.
    #[must_use]
    pub fn run(&self, index: RunIndex) -> &PastRun {
        &self.runs[index.0 as usize]
    }

    /// Return a cycle by its position.
    ///
    /// # Panics
    /// If the position is that of other cycles.
    #[must_use]
    pub fn cycle(&self, index: CycleIndex) -> &PastCycle {
        &self.cycles[index.0 as usize]
    }

    /// Return the run with a number.
    #[must_use]
    pub fn find(&self, id: RunId) -> Option<&PastRun> {
        self.runs.binary_search_by_key(&id, |run| run.id).ok().map(|index| &self.runs[index])
    }

    /// Return the run that sent a message.
    #[must_use]
    pub fn sender(&self, message: Number) -> Option<&PastRun> {
        let place = self.senders.binary_search_by_key(&message, |(message, _)| *message).ok()?;
        Some(self.run(self.senders[place].1))
    }

    /// Return the cycle of a label or day.
    #[must_use]
    pub fn find_cycle(&self, key: &CycleKey) -> Option<&PastCycle> {
        self.cycle_of.get(key).map(|index| self.cycle(*index))
    }

    /// Return all runs of a likeness, in the order of their numbers.
    #[must_use]
    pub fn like(&self, like: LikeId) -> &[RunIndex] {
        self.by_like.get(like.index()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Return the key of a run without a cycle: the day of the run whose message caused it; its own day if there is none, or if the first
    /// like run of that day was launched [`SAME_CYCLE`] or more before.
    #[must_use]
    pub fn day_key(
        &self,
        of_cause: Option<&CycleKey>,
        first_like: Option<Timestamp>,
        launched: Timestamp,
    ) -> CycleKey {
        let is_of_another_day = first_like.is_some_and(|first| launched.duration_since(first) >= SAME_CYCLE);
        match of_cause {
            Some(CycleKey::Day(day)) if !is_of_another_day => CycleKey::Day(*day),
            _ => CycleKey::Day(self.day(launched)),
        }
    }

    /// Return the dates of a run to come.
    #[must_use]
    pub fn dates(&self, worker: &NextWorker, key: &CycleKey, launched: Timestamp) -> RunDates {
        self.dates_of(dates::first(&worker.args), key, launched)
    }

    fn dates_of(&self, args: Option<Date>, key: &CycleKey, launched: Timestamp) -> RunDates {
        match key {
            CycleKey::Label(cycle) => {
                RunDates { args, cycle: dates::of_cycle(cycle), day: self.day(launched) }
            }
            CycleKey::Day(day) => RunDates { args, cycle: None, day: *day },
        }
    }

    /// Most messages come in the order of their runs.
    fn add_sender(&mut self, message: Number, run: RunIndex) {
        let place = match self.senders.last() {
            Some((last, _)) if *last > message => self.senders.partition_point(|(other, _)| *other < message),
            _ => self.senders.len(),
        };
        self.senders.insert(place, (message, run));
    }

    /// The local day of a moment.
    fn day(&self, moment: Timestamp) -> Date {
        self.zone.to_datetime(moment).date()
    }
}

/// Collects the runs of one pass.
struct PastReader {
    past: PastRuns,
    now: Timestamp,
    /// The likeness of each worker, host and arguments that came, dates blanked.
    likenesses: HashMap<String, LikeId>,
    /// The cycle of each label that came.
    labels: HashMap<String, CycleIndex>,
    types: HashMap<String, Arc<str>>,
    /// What the next run is looked up by.
    looked_up: String,
}

impl PastReader {
    fn new(zone: &TimeZone, now: Timestamp) -> Self {
        let past = PastRuns::new(zone);
        let (likenesses, labels, types) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { past, now, likenesses, labels, types, looked_up: String::new() }
    }

    fn add(&mut self, attempt: &Attempt<'_>) -> Result<(), serde_json::Error> {
        let (like, date) = self.likeness(attempt)?;
        let cycle = match attempt.cycle {
            Some(label) => self.cycle_of_label(label, attempt)?,
            None => self.cycle_of_day(like, attempt),
        };
        let message = |(message, r#type): &(Number, Cow<'_, str>)| PastMessage {
            message: *message,
            r#type: shared(&mut self.types, r#type),
        };
        let messages = attempt.messages.iter().map(message).collect();
        self.past.add(PastRun {
            id: attempt.id,
            like,
            cycle,
            dates: self.past.dates_of(date, &self.past.cycle(cycle).key, attempt.launched),
            cause: attempt.cause,
            chain: attempt.chain,
            attempt: attempt.attempt,
            launched: attempt.launched,
            end: self.end(attempt),
            messages,
        });
        Ok(())
    }

    fn end(&self, attempt: &Attempt<'_>) -> PastEnd {
        let Some(end) = &attempt.end else {
            let after = self.now.duration_since(attempt.launched).max(SignedDuration::ZERO);
            return PastEnd::Censored { after, is_open: true };
        };
        let (after, at, ending) = (end.after, end.at, end.ending.clone());
        if attempt.is_stopped || ending == Ending::Unknown {
            return PastEnd::Censored { after, is_open: false };
        }
        PastEnd::Ended { after, at, ending }
    }

    /// The likeness of a run, and the first date in its arguments.
    fn likeness(&mut self, attempt: &Attempt<'_>) -> Result<(LikeId, Option<Date>), serde_json::Error> {
        // Dates are found in the arguments as JSON, so that most rows make no list; only an escaped digit would be another one there.
        let is_escaped = attempt.args.contains("\\u");
        let args: Vec<String> = if is_escaped { serde_json::from_str(attempt.args)? } else { Vec::new() };
        let (blanked, date) = if is_escaped {
            (attempt.args.into(), dates::first(&args))
        } else {
            dates::blanked_with_first(attempt.args)
        };
        self.looked_up.clear();
        for part in [attempt.worker, "\0", attempt.host, "\0", &blanked] {
            self.looked_up.push_str(part);
        }
        if let Some(known) = self.likenesses.get(&self.looked_up) {
            return Ok((*known, date));
        }
        let args = if is_escaped { args } else { serde_json::from_str(&blanked)? };
        let like = self.past.likenesses.add(Likeness::new(attempt.worker, attempt.host, &args));
        self.past.by_like.resize(self.past.likenesses.len(), Vec::new());
        self.likenesses.insert(self.looked_up.clone(), like);
        Ok((like, date))
    }

    fn cycle_of_label(
        &mut self,
        label: &str,
        attempt: &Attempt<'_>,
    ) -> Result<CycleIndex, serde_json::Error> {
        if let Some(known) = self.labels.get(label) {
            return Ok(*known);
        }
        let cycle = Cycle::parse(label).map_err(serde::de::Error::custom)?;
        let index = self.past.add_cycle(CycleKey::Label(cycle), attempt.launched);
        self.labels.insert(label.to_owned(), index);
        Ok(index)
    }

    fn cycle_of_day(&mut self, like: LikeId, attempt: &Attempt<'_>) -> CycleIndex {
        let of_cause = self.past.sender(attempt.cause).map(|run| self.past.cycle(run.cycle));
        let first_like = of_cause.and_then(|cycle| cycle.like(like).first());
        let first_like = first_like.map(|first| self.past.run(*first).launched);
        let key = self.past.day_key(of_cause.map(|cycle| &cycle.key), first_like, attempt.launched);
        self.past.add_cycle(key, attempt.launched)
    }
}

/// The text that all equal ones share.
fn shared(texts: &mut HashMap<String, Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = texts.get(text) {
        return known.clone();
    }
    let shared: Arc<str> = text.into();
    texts.insert(text.to_owned(), shared.clone());
    shared
}

/// A message as a worker sent it.
#[derive(Debug, Clone)]
pub struct SentMessage {
    /// How long after the launch it was decided.
    pub after: SignedDuration,
    /// Its type.
    pub r#type: Arc<str>,
    /// Its payload, with the dates of its own day.
    pub payload: Value,
}

/// Bytes of payloads that are kept. Drawing goes over the same attempts again and again, and payloads can be large.
const MOST_KEPT: usize = 64 << 20;

/// The messages of attempts that are drawn, read from the journal when they are asked for, and kept.
#[derive(Debug)]
pub struct SentMessages {
    history: History,
    read: BTreeMap<RunId, Option<Arc<[SentMessage]>>>,
    bytes: usize,
}

impl SentMessages {
    /// Read from a journal. A connection serves one thread, so each thread needs its own.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self { history, read: BTreeMap::new(), bytes: 0 }
    }

    /// Return what the worker of a run sent. A `crash` that the manager reported and what an operator sent are left out: the simulated
    /// core reports crashes by itself. `None` if a message was removed from the journal.
    ///
    /// # Errors
    /// The journal cannot be read or is damaged.
    pub fn of(&mut self, run: &PastRun) -> Result<Option<Arc<[SentMessage]>>, JournalError> {
        if let Some(known) = self.read.get(&run.id) {
            return Ok(known.clone());
        }
        let sent = self.read(run)?;
        let payloads = sent.iter().flat_map(|sent| sent.iter());
        self.bytes += payloads.map(|message| message.payload.memory_size()).sum::<usize>();
        if self.bytes > MOST_KEPT {
            (self.read, self.bytes) = (BTreeMap::new(), 0);
        }
        self.read.insert(run.id, sent.clone());
        Ok(sent)
    }

    fn read(&self, run: &PastRun) -> Result<Option<Arc<[SentMessage]>>, JournalError> {
        let mut sent = Vec::new();
        for PastMessage { message, r#type } in &run.messages {
            let Some(received) = self.history.received_message(*message)? else { return Ok(None) };
            // Decided later than the run ended, if no manager was running then.
            let after = received.at.duration_since(run.launched).min(run.end.after());
            let message = SentMessage {
                after: after.max(SignedDuration::ZERO),
                r#type: r#type.clone(),
                payload: received.payload,
            };
            match received.speaker {
                Speaker::Worker => sent.push(message),
                // It was parked undecided: that event has no payload.
                Speaker::Retry => {
                    let of_type = |sent: &&mut SentMessage| sent.r#type == message.r#type;
                    if let Some(undecided) = sent.iter_mut().rfind(of_type) {
                        undecided.payload = message.payload;
                    }
                }
                Speaker::Manager | Speaker::Operator => {}
            }
        }
        Ok(Some(sent.into()))
    }
}
