//! How the times of events relate to each other: events are numbered in their order, but the wall clock may have been set between
//! them.
//!
//! Between two readings of the clocks the order of the numbers is that of the times. A time is searched in each of these
//! stretches, after the times in it are made comparable.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{clock, load, row};
use nowcast_core::{ClockReading, Number, Steady};

/// Events in the order of their times: those from one reading of the clocks to the next.
struct Stretch {
    /// Its first event.
    first: i64,
    /// `None` if steady time was not known then.
    reading: Option<ClockReading>,
}

impl Stretch {
    /// How much the wall clock was ahead of steady time.
    fn ahead(&self) -> SignedDuration {
        self.reading.as_ref().map_or(SignedDuration::ZERO, ahead)
    }
}

fn ahead(reading: &ClockReading) -> SignedDuration {
    reading.wall.duration_since(reading.steady.0)
}

fn stretches(connection: &Connection) -> rusqlite::Result<Vec<Stretch>> {
    let stretch = |(first, reading)| Stretch { first, reading };
    Ok([(1, None)].into_iter().chain(clock::readings(connection)?).map(stretch).collect())
}

/// The steady time of an event.
pub(super) fn steady(connection: &Connection, number: Number, at: Timestamp) -> rusqlite::Result<Steady> {
    let number = number.0.cast_signed();
    let stretch = stretches(connection)?.into_iter().rfind(|stretch| stretch.first <= number);
    let ahead = stretch.map_or(SignedDuration::ZERO, |stretch| stretch.ahead());
    Ok(Steady(at.checked_sub(ahead).unwrap_or(at)))
}

/// The number of the first event at or after a time of the wall clock. One more than the last event if all are before it.
///
/// Of events in one boot of the machine, the times are compared by the clock as it was set last in that boot: so an event of the last
/// hour is found as such although the clock was wrong when it was decided.
pub(super) fn first_since(connection: &Connection, time: Timestamp) -> rusqlite::Result<i64> {
    let stretches = stretches(connection)?;
    let last_of_boot = |reading: &ClockReading| {
        let is_of_boot = |other: &&ClockReading| other.boot_began == reading.boot_began;
        stretches.iter().rev().filter_map(|stretch| stretch.reading.as_ref()).find(is_of_boot).map(ahead)
    };
    let shift = |stretch: &Stretch| {
        let last = stretch.reading.as_ref().and_then(last_of_boot);
        last.unwrap_or_default() - stretch.ahead()
    };
    first(connection, &stretches, shift, time)
}

/// The number of the first event that is not older than a point of steady time. One more than the last event if all are.
///
/// Before steady time was known, an event is not older than any event before it.
pub(super) fn first_not_older(connection: &Connection, than: Steady) -> rusqlite::Result<i64> {
    first(connection, &stretches(connection)?, |stretch| -stretch.ahead(), than.0)
}

/// The first event whose time, shifted as all of its stretch, is not before another.
fn first(
    connection: &Connection,
    stretches: &[Stretch],
    shift: impl Fn(&Stretch) -> SignedDuration,
    time: Timestamp,
) -> rusqlite::Result<i64> {
    let after_all = load::last_event(connection)?.cast_signed() + 1;
    let ends = stretches.iter().skip(1).map(|next| next.first.min(after_all)).chain([after_all]);
    for (stretch, end) in stretches.iter().zip(ends) {
        let time = time.checked_sub(shift(stretch)).unwrap_or(time);
        if let Some(found) = first_between(connection, stretch.first, end, time)? {
            return Ok(found);
        }
    }
    Ok(after_all)
}

/// The first of the events from `low` to before `high` that is at or after a time, if they are in the order of time.
fn first_between(
    connection: &Connection,
    mut low: i64,
    high: i64,
    time: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached(
        "SELECT number, at FROM events WHERE number >= ?1 AND number < ?2 ORDER BY number LIMIT 1",
    )?;
    let mut found = None;
    let mut end = high;
    while low < end {
        let middle = low + (end - low) / 2;
        // Between two events are numbers of runs and joins.
        let event = find
            .query_row([middle, high], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        match event {
            Some((number, at)) if row::moment(&at)?.timestamp() < time => low = number + 1,
            event => {
                found = event.map(|(number, _)| number).or(found);
                end = middle;
            }
        }
    }
    Ok(found)
}
