//! The checklist and the cycles of any moment: a snapshot and what the events after it changed.

use rusqlite::{Connection, OptionalExtension, params};

use super::row::{self, json};
use nowcast_core::checklist::Checklist;
use nowcast_core::{Change, Cycles, Number};
use pyyaml::{Keys, Value};

/// A folded state, and the last event in it.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) checklist: Checklist,
    /// The cycles and the notes of messages; `None` if they are not known, as before version 8.
    pub(super) cycles: Option<Cycles>,
    /// The last event that changed the checklist.
    pub(super) changed_by: u64,
}

impl Folded {
    /// Make the changes of an event whose message has that payload.
    pub(super) fn apply(&mut self, event: Number, changes: &[Change], payload: &Value) {
        for change in changes {
            if change.is_of_checklist() {
                apply_to_checklist(&mut self.checklist, change, payload);
                self.changed_by = event.0;
            } else if let Some(cycles) = &mut self.cycles {
                change.apply_to_cycles(cycles, payload);
            }
        }
    }
}

fn apply_to_checklist(checklist: &mut Checklist, change: &Change, payload: &Value) {
    match change {
        Change::PayloadMerged { key } => checklist.update(key, payload.clone()),
        Change::ChecklistSet { path, value } => {
            checklist.set(path.as_list().unwrap_or_default(), value.clone());
        }
        Change::ChecklistReplaced { checklist: whole } => {
            *checklist = Checklist::new(whole.as_map().cloned().unwrap_or_default());
        }
        // The others change something else.
        _ => {}
    }
}

/// The checklist and the cycles before an event; see [`after`].
pub(super) fn before(connection: &Connection, event: Number) -> rusqlite::Result<Option<Folded>> {
    after(connection, Number(event.0.saturating_sub(1)))
}

/// The checklist alone before an event; see [`checklist_after`].
pub(super) fn checklist_before(
    connection: &Connection,
    event: Number,
) -> rusqlite::Result<Option<Checklist>> {
    checklist_after(connection, Number(event.0.saturating_sub(1)))
}

/// The checklist alone after an event. Notes take most of the time where there are many messages.
pub(super) fn checklist_after(connection: &Connection, event: Number) -> rusqlite::Result<Option<Checklist>> {
    Ok(fold(connection, event, false)?.map(|folded| folded.checklist))
}

/// The checklist and the cycles after an event; `None` if the events that lead there were removed.
pub(super) fn after(connection: &Connection, event: Number) -> rusqlite::Result<Option<Folded>> {
    fold(connection, event, true)
}

/// The events with snapshots whose content is not what the one before them and the events in between lead to.
pub(super) fn wrong_snapshots(connection: &Connection) -> rusqlite::Result<Vec<Number>> {
    let mut events = connection.prepare("SELECT event FROM snapshots ORDER BY event")?;
    let events: Vec<Number> =
        events.query_map([], |row| row::number(row, 0))?.collect::<rusqlite::Result<_>>()?;
    let mut wrong = Vec::new();
    for both in events.windows(2) {
        let stored = fold(connection, both[1], true)?.unwrap_or_default();
        let folded = fold_from(connection, both[0], both[1], true)?.unwrap_or_default();
        // A snapshot from before version 8 has no cycles.
        let cycles_differ =
            stored.cycles.is_some() && folded.cycles.is_some() && stored.cycles != folded.cycles;
        if stored.checklist.to_value() != folded.checklist.to_value() || cycles_differ {
            wrong.push(both[1]);
        }
    }
    Ok(wrong)
}

fn fold(connection: &Connection, event: Number, with_notes: bool) -> rusqlite::Result<Option<Folded>> {
    fold_from(connection, event, event, with_notes)
}

/// Fold the events up to one, from the last snapshot up to another.
fn fold_from(
    connection: &Connection,
    snapshot_until: Number,
    event: Number,
    with_notes: bool,
) -> rusqlite::Result<Option<Folded>> {
    let [snapshot_until, event] =
        [snapshot_until, event].map(|number| number.0.min(i64::MAX as u64).cast_signed());
    let snapshot = connection
        .prepare_cached(
            "SELECT event, changed_by, checklist, CASE WHEN ?2 THEN notes END FROM snapshots WHERE event <= ?1 ORDER BY event DESC LIMIT 1",
        )?
        .query_row(params![snapshot_until, with_notes], |row| {
            let number = row::number(row, 0)?;
            let cycles = row.get_ref(3)?.as_str_or_null()?.map(row::from_json).transpose();
            let cycles = cycles.map_err(|error| row::damaged(&format!("the notes after event {number}"), &error))?;
            let entries = row::yaml_or_null(Some(row.get(2)?))?.as_map().cloned().unwrap_or_default();
            let (checklist, changed_by) = (Checklist::new(entries), row.get::<_, i64>(1)?.cast_unsigned());
            Ok((row.get::<_, i64>(0)?, Folded { checklist, cycles, changed_by }))
        })
        .optional()?;
    // There is one from the beginning on, and removing events leaves one in front of the first that stays.
    let Some((from, mut folded)) = snapshot else { return Ok(None) };
    let mut events = connection.prepare_cached(
        "SELECT number, checklist, CASE WHEN ?3 THEN notes END, body FROM events
         WHERE number > ?1 AND number <= ?2 AND (checklist IS NOT NULL OR ?3 AND notes IS NOT NULL) ORDER BY number",
    )?;
    let mut rows = events.query(params![from, event, with_notes])?;
    while let Some(row) = rows.next()? {
        let number = row::number(row, 0)?;
        let changes = row::changes(row.get_ref(1)?.as_str_or_null()?, row.get_ref(2)?.as_str_or_null()?)
            .map_err(|error| row::damaged(&format!("event {number}"), &error))?;
        let body = row.get_ref(3)?.as_bytes_or_null()?.unwrap_or_default();
        let uses_payload =
            |change: &Change| matches!(change, Change::PayloadMerged { .. } | Change::Noted(_));
        let payload = if changes.iter().any(uses_payload) { row::payload(body)? } else { Value::Null };
        folded.apply(number, &changes, &payload);
    }
    Ok(Some(folded))
}

/// The first event after which the cycles are known, from an event on, and the cycles then.
pub(super) fn first_cycles(connection: &Connection, from: i64) -> rusqlite::Result<Option<(Number, Cycles)>> {
    connection
        .prepare_cached(
            "SELECT event, notes FROM snapshots WHERE event >= ?1 AND notes IS NOT NULL ORDER BY event LIMIT 1",
        )?
        .query_row([from], |row| Ok((row::number(row, 0)?, row::from_json(row.get_ref(1)?.as_str()?)?)))
        .optional()
}

/// Write the snapshot after an event; return how many bytes it has.
pub(super) fn put_snapshot(
    connection: &Connection,
    event: u64,
    changed_by: u64,
    checklist: &Value,
    cycles: Option<&Cycles>,
) -> rusqlite::Result<u64> {
    let checklist = pyyaml::write(checklist, Keys::AsGiven);
    let notes = cycles.map(json).transpose()?;
    let bytes = checklist.len() + notes.as_ref().map_or(0, String::len);
    connection.execute(
        "INSERT OR REPLACE INTO snapshots (event, changed_by, checklist, notes) VALUES (?1, ?2, ?3, ?4)",
        params![event.cast_signed(), changed_by.cast_signed(), checklist, notes],
    )?;
    Ok(bytes as u64)
}
