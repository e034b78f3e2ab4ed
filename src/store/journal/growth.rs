//! What takes the space of a journal, how it grows, and what is old. Each of these reads the whole database or a large part of it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::prune::{self, EVENT_BYTES};
use super::{History, JournalError, OldEntries, OldOutputs, order};
use nowcast_core::Steady;

/// The name under which the payloads of messages are counted, apart from the table that has them.
pub const PAYLOADS: &str = "payloads of messages";

const DAYS: i64 = 7;

const WEEKS: i64 = 4;

/// A week of a journal. Its keys are those of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WeekOfGrowth {
    /// How many days ago it ended.
    pub days_ago: i64,
    /// Its events.
    pub events: u64,
    /// The average bytes a day of the values of its events and runs.
    pub bytes_a_day: u64,
}

impl History {
    /// Return the bytes of each table with its indexes, and of the payloads of messages apart from the rest of their table.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn table_bytes(&self) -> Result<BTreeMap<String, u64>, JournalError> {
        self.ask(table_bytes)
    }

    /// Return the growth in the last weeks before a point of steady time, the latest first.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn growth(&self, now: Steady) -> Result<Vec<WeekOfGrowth>, JournalError> {
        self.ask(|connection| (0..WEEKS).map(|week| of_week(connection, now, week)).collect())
    }

    /// Return how much would be removed if everything before a point of steady time was, by whole days.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn old_entries(&self, before: Steady) -> Result<OldEntries, JournalError> {
        self.ask(|connection| prune::old_entries(connection, prune::midnight(before)))
    }

    /// Return the runs whose outputs would be; see [`super::Journal::old_outputs`].
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn old_outputs(&self, before: Steady) -> Result<OldOutputs, JournalError> {
        self.ask(|connection| prune::old_outputs(connection, prune::midnight(before)))
    }
}

fn table_bytes(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut sizes = connection.prepare(
        "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) WHERE aggregate = TRUE GROUP BY tbl_name",
    )?;
    let size = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
    let mut sizes: BTreeMap<String, u64> = sizes.query_map([], size)?.collect::<rusqlite::Result<_>>()?;
    let payloads = "SELECT coalesce(sum(length(body)), 0) FROM events";
    let payloads: u64 = connection.query_row(payloads, [], |row| row.get::<_, i64>(0))?.cast_unsigned();
    if let Some(events) = sizes.get_mut("events") {
        *events = events.saturating_sub(payloads);
    }
    sizes.insert(PAYLOADS.to_owned(), payloads);
    Ok(sizes)
}

fn of_week(connection: &Connection, now: Steady, week: i64) -> rusqlite::Result<WeekOfGrowth> {
    let first = |days: i64| match now.checked_after(SignedDuration::from_hours(-24 * days)) {
        Some(then) => order::first_not_older(connection, then),
        None => Ok(1),
    };
    let days_ago = week * DAYS;
    let within = params![first(days_ago + DAYS)?, first(days_ago)?];
    let sums = |statement: &str| {
        let sum = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        connection.query_row(statement, within, |row| Ok((sum(row, 0)?, sum(row, 1)?)))
    };
    let (events, event_bytes) =
        sums(&format!("SELECT count(*), {EVENT_BYTES} FROM events WHERE number >= ?1 AND number < ?2"))?;
    let (_, run_bytes) = sums(
        "SELECT count(*), coalesce(sum(length(body) + length(args)), 0) FROM runs WHERE id >= ?1 AND id < ?2",
    )?;
    Ok(WeekOfGrowth { days_ago, events, bytes_a_day: (event_bytes + run_bytes) / DAYS.cast_unsigned() })
}
