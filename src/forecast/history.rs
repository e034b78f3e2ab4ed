//! The past that a forecast draws from: runs, what they sent, and the cycles in which they belong together.
//!
//! One pass over the journal's runs reads it; events are read only for attempts that are drawn. Pruned and damaged
//! entries are not guessed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::dates::RunDates;
use super::like::{LikeId, Likenesses};
use crate::store::journal::{History, JournalError};
use nowcast_core::{Cycle, Ending, Number, RunId};
use pyyaml::Value;

/// How far back the past counts unless told otherwise: 120 days. Older runs tell little of the season, the machine and the code of today.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(120 * 24);

/// A like run that comes again in a cycle of a day so much later than the first one belongs to the day of its own launch: so a ring of
/// launches, of which each causes the next one, is one cycle a day. Ring of a day: 24 h apart; polls: minutes.
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
    runs: Vec<PastRun>,
    cycles: Vec<PastCycle>,
    by_like: Vec<Vec<RunIndex>>,
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
        let _ = (history, now, horizon);
        Ok(Self {
            zone: zone.clone(),
            likenesses: Likenesses::default(),
            runs: Vec::new(),
            cycles: Vec::new(),
            by_like: Vec::new(),
        })
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

    /// Return the cycles, in the order in which they began.
    #[must_use]
    pub fn cycles(&self) -> &[PastCycle] {
        &self.cycles
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
        let _ = message;
        None
    }

    /// Return the cycle of a label or day.
    #[must_use]
    pub fn find_cycle(&self, key: &CycleKey) -> Option<&PastCycle> {
        self.cycles.iter().find(|cycle| cycle.key == *key)
    }

    /// Return all runs of a likeness, in the order of their numbers.
    #[must_use]
    pub fn like(&self, like: LikeId) -> &[RunIndex] {
        self.by_like.get(like.index()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Return the key of a run without a cycle that is launched now: that of the run whose message caused it, if there is one; but the
    /// day of the launch if a like run came first in that day's cycle [`SAME_CYCLE`] or more before.
    #[must_use]
    pub fn day_key(
        &self,
        of_cause: Option<&CycleKey>,
        first_like: Option<Timestamp>,
        launched: Timestamp,
    ) -> CycleKey {
        day_key(&self.zone, of_cause, first_like, launched)
    }
}

/// See [`PastRuns::day_key`].
fn day_key(
    zone: &TimeZone,
    of_cause: Option<&CycleKey>,
    first_like: Option<Timestamp>,
    launched: Timestamp,
) -> CycleKey {
    let is_next = first_like.is_some_and(|first| launched.duration_since(first) >= SAME_CYCLE);
    match of_cause {
        Some(CycleKey::Day(day)) if !is_next => CycleKey::Day(*day),
        _ => CycleKey::Day(zone.to_datetime(launched).date()),
    }
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

/// The messages of attempts that are drawn, read from the journal when they are asked for, and kept.
#[derive(Debug)]
pub struct SentMessages {
    history: History,
    read: BTreeMap<RunId, Option<Arc<[SentMessage]>>>,
}

impl SentMessages {
    /// Read from a journal. A connection serves one thread, so each thread needs its own.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self { history, read: BTreeMap::new() }
    }

    /// Return what the worker of a run sent. A `crash` that the manager reported and what an operator sent are left out: the simulated
    /// core reports crashes by itself. `None` if the messages were removed from the journal meanwhile.
    ///
    /// # Errors
    /// The journal cannot be read or is damaged.
    pub fn of(&mut self, run: &PastRun) -> Result<Option<Arc<[SentMessage]>>, JournalError> {
        let _ = &self.history;
        Ok(self.read.get(&run.id).cloned().flatten())
    }
}
