//! [`Clockwork`]: the core on a virtual clock: what is due and what is planned happens in the order of time.
//!
//! This module never waits, reads no clock and performs no effect: its callers handle the effects.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use nowcast_core::{Effect, Event, Rules, State, decide};

/// The maximum number of events: rules that launch one another endlessly would never finish.
pub const MOST_EVENTS: usize = 20_000;

/// How many more events each launch of a schedule may bring: those of the runs that follow from it.
const EVENTS_OF_A_LAUNCH: usize = 200;

/// There were more than [`MOST_EVENTS`] events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyEvents;

/// The next thing that happens.
#[derive(Debug)]
pub enum Tick<T> {
    /// Something is due.
    Due,
    /// Something that was planned.
    Planned(T),
}

/// A state with a virtual clock, and the events of type `T` that are planned.
#[derive(Debug, Clone)]
pub struct Clockwork<T> {
    /// The state.
    pub state: State,
    now: ZonedDateTime,
    /// Everything that was due by then has been decided.
    looked_at: Timestamp,
    planned: BTreeMap<(Timestamp, usize), T>,
    /// The number of events that were ever planned, by which those of the same moment are ordered.
    count: usize,
    events: usize,
    most_events: usize,
}

impl<T> Clockwork<T> {
    /// Return a clockwork at a moment, with nothing planned.
    #[must_use]
    pub fn new(state: State, now: ZonedDateTime) -> Self {
        let looked_at = now.timestamp();
        Self {
            state,
            now,
            looked_at,
            planned: BTreeMap::new(),
            count: 0,
            events: 0,
            most_events: MOST_EVENTS,
        }
    }

    /// Return the current time.
    #[must_use]
    pub fn now(&self) -> &ZonedDateTime {
        &self.now
    }

    /// Set the clock, without handling what is due by then.
    pub fn set_now(&mut self, now: ZonedDateTime) {
        self.looked_at = now.timestamp();
        self.now = now;
    }

    /// Plan an event.
    pub fn plan(&mut self, at: Timestamp, what: T) {
        self.count += 1;
        self.planned.insert((at, self.count), what);
    }

    /// Drop the planned events for which this is true.
    pub fn cancel(&mut self, mut is_cancelled: impl FnMut(&T) -> bool) {
        self.planned.retain(|_, what| !is_cancelled(what));
    }

    /// Allow the events that follow from so many launches of a schedule, too.
    pub fn allow_launches(&mut self, count: usize) {
        self.most_events = self.most_events.saturating_add(count.saturating_mul(EVENTS_OF_A_LAUNCH));
    }

    /// Decide an event now, and return the effects.
    ///
    /// # Errors
    /// When there are too many events.
    pub fn decide(&mut self, event: Event, rules: &dyn Rules) -> Result<Vec<Effect>, TooManyEvents> {
        self.events += 1;
        if self.events > self.most_events {
            return Err(TooManyEvents);
        }
        Ok(decide(&mut self.state, event, rules, &self.now.clone().into()))
    }

    /// When something is due next. A live state may count spans in a steady time that is not that of the wall clock.
    fn next_due(&self) -> Option<Timestamp> {
        let looked_at = self.looked_at.to_zoned_datetime(TimeZone::UTC);
        let now = self.state.now(&looked_at.into());
        self.state.next_due(now.time, now).map(|due| now.wall_at(due))
    }

    /// Set the clock to the next thing that happens, and return it; `None` if there is none until a moment.
    pub fn advance(&mut self, until: Timestamp) -> Option<Tick<T>> {
        let planned = self.planned.first_key_value().map(|((at, _), _)| *at);
        let due = self.next_due();
        let next = planned.into_iter().chain(due).min().filter(|next| *next <= until)?;
        let next = next.max(self.now.timestamp());
        self.now = next.to_zoned_datetime(self.now.time_zone().clone());
        if due.is_some_and(|due| due <= next)
            && planned.is_none_or(|planned| planned > next || due <= Some(planned))
        {
            self.looked_at = next;
            return Some(Tick::Due);
        }
        self.planned.pop_first().map(|(_, what)| Tick::Planned(what))
    }
}
