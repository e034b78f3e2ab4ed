//! Readings of the clocks: what steady time is counted from.

use rusqlite::{Connection, OptionalExtension, Row};

use super::row;
use nowcast_core::{Clock, ClockReading, Number};

/// The clock as it was recorded.
pub(super) fn clock(connection: &Connection) -> rusqlite::Result<Clock> {
    let last = "SELECT event, body FROM clock_readings WHERE body IS NOT NULL ORDER BY event DESC LIMIT 1";
    let reading = connection.query_row(last, [], |row| Ok(reading(row))).optional()?.transpose()?;
    let at = "SELECT at FROM events ORDER BY number DESC LIMIT 1";
    let last_event = connection.query_row(at, [], |row| row::moment(&row.get::<_, String>(0)?)).optional()?;
    Ok(Clock {
        reading: reading.and_then(|(_, reading)| reading),
        last_event: last_event.map(|at| at.timestamp()),
    })
}

/// The last reading before an event.
pub(super) fn reading_before(
    connection: &Connection,
    event: Number,
) -> rusqlite::Result<Option<ClockReading>> {
    let last = "SELECT event, body FROM clock_readings WHERE event < ?1 AND body IS NOT NULL ORDER BY event DESC LIMIT 1";
    let found = connection
        .query_row(last, [event.0.cast_signed()], |row| Ok(reading(row)))
        .optional()?
        .transpose()?;
    Ok(found.and_then(|(_, reading)| reading))
}

/// The last reading after a step of the wall clock that was reported.
pub(super) fn last_step(connection: &Connection) -> rusqlite::Result<Option<ClockReading>> {
    let last = "SELECT event, body FROM clock_readings WHERE body ->> '$.set_from' IS NOT NULL ORDER BY event DESC LIMIT 1";
    let found = connection.query_row(last, [], |row| Ok(reading(row))).optional()?.transpose()?;
    Ok(found.and_then(|(_, reading)| reading))
}

/// All readings, each with its first event; `None` where events before version 5 go back in time.
pub(super) fn readings(connection: &Connection) -> rusqlite::Result<Vec<(i64, Option<ClockReading>)>> {
    connection
        .prepare_cached("SELECT event, body FROM clock_readings ORDER BY event")?
        .query_and_then([], reading)?
        .collect()
}

fn reading(row: &Row<'_>) -> rusqlite::Result<(i64, Option<ClockReading>)> {
    let body: Option<String> = row.get("body")?;
    Ok((row.get("event")?, body.map(|body| row::from_json(&body)).transpose()?))
}
