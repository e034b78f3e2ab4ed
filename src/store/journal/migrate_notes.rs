//! A step of the migration to version 8: the messages of the last days are noted, so that a rule knows them at once.
//!
//! It runs in the transaction of that migration, and reads and writes what version 8 has. It changes no event: which notes older
//! days had stays unknown. It leaves one snapshot, at the last event.

use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{clock, fold, load, order, row, stream};
use nowcast_core::notes::Note;
use nowcast_core::{Change, Cycles, Number, TimePoint};

/// The version whose migration this belongs to.
pub(super) const VERSION: i64 = 8;

/// How far before the last event messages are noted.
const LAST_DAYS: SignedDuration = SignedDuration::from_hours(48);

/// The run that an earlier one was the chain's first of, or that it retries.
const BEFORE: &str = "SELECT body ->> '$.origin', body ->> '$.retry_of' FROM runs WHERE id = ?1";

/// The messages from an event on that were noted when they came, if notes had been there. A message that is decided again was.
fn noted() -> String {
    format!(
        "SELECT number, at, worker, type, run, cycle, body FROM events
         WHERE number >= ?1 AND kind = 'message' AND speaker <> 'retry' AND ({}) ORDER BY number",
        stream::CALLED
    )
}

/// Note the messages of the last days before the last event, and write a snapshot there.
pub(super) fn note_last_days(connection: &Connection) -> rusqlite::Result<()> {
    let folded = fold::after(connection, Number(u64::MAX))?.unwrap_or_default();
    let mut cycles = Cycles::default();
    if let Some(last) = clock::clock(connection)?.last_event {
        let first = order::first_since(connection, last.checked_sub(LAST_DAYS).unwrap_or(last))?;
        let mut messages = connection.prepare(&noted())?;
        let mut rows = messages.query([first])?;
        while let Some(row) = rows.next()? {
            note(connection, &mut cycles, row)?;
        }
    }
    let last = load::last_event(connection)?;
    fold::put_snapshot(connection, last, folded.changed_by, &folded.checklist.to_value(), Some(&cycles))?;
    Ok(())
}

fn note(connection: &Connection, cycles: &mut Cycles, row: &Row<'_>) -> rusqlite::Result<()> {
    let message = row::number(row, "number")?;
    let at = row::moment(row.get_ref("at")?.as_str()?)?.timestamp();
    let run = row::optional_number(row, "run")?;
    let cycle = row.get::<_, Option<String>>("cycle")?.map(|label| row::cycle(&label)).transpose()?;
    let payload = row::payload(row.get_ref("body")?.as_bytes_or_null()?.unwrap_or_default())?;
    let steady = order::steady(connection, message, at)?;
    if let Some(cycle) = &cycle {
        let at = TimePoint { wall: at, steady };
        let seen = Change::CycleSeen { cycle: cycle.clone(), number: message, at };
        seen.apply_to_cycles(cycles, &payload);
    }
    let origin = run.map_or(Ok(None), |run| origin(connection, run))?;
    let (worker, r#type) = (row.get("worker")?, row.get("type")?);
    let (steady, without_payload) = (Some(steady), false);
    let noted =
        Change::Noted(Note { message, worker, r#type, at, steady, run, origin, cycle, without_payload });
    noted.apply_to_cycles(cycles, &payload);
    Ok(())
}

/// The first run of a run's chain, if that is another one. Before version 7 a run has only the one that it retries.
fn origin(connection: &Connection, run: Number) -> rusqlite::Result<Option<Number>> {
    let mut before = connection.prepare_cached(BEFORE)?;
    let mut first = run;
    loop {
        let found = before
            .query_row([first.0.cast_signed()], |row| {
                Ok((row::optional_number(row, 0)?, row::optional_number(row, 1)?))
            })
            .optional()?;
        match found {
            Some((Some(origin), _)) => return Ok(Some(origin)),
            // A run's number is above that of the one that it retries.
            Some((None, Some(retried))) if retried < first => first = retried,
            _ => return Ok(Some(first).filter(|first| *first != run)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::schema;

    #[test]
    fn it_searches_messages_and_runs_by_their_numbers() {
        let connection = schema::in_memory();
        let plan = |statement: &str| -> Vec<String> {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let steps = explained.query_map([1], |row| row.get("detail")).unwrap();
            steps.collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(plan(&noted()), ["SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"]);
        assert_eq!(plan(BEFORE), ["SEARCH runs USING INTEGER PRIMARY KEY (rowid=?)"]);
    }
}
