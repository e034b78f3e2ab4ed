//! The checklist of any moment: a snapshot and what the events after it changed.

use rusqlite::{Connection, OptionalExtension};

use super::row;
use nowcast_core::checklist::Checklist;
use nowcast_core::{Change, Number};
use pyyaml::Value;

/// A checklist and how far it goes.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) checklist: Checklist,
    /// The last event that changed it.
    pub(super) changed_by: u64,
}

/// The checklist before an event; see [`after`].
pub(super) fn before(connection: &Connection, event: Number) -> rusqlite::Result<Option<Folded>> {
    after(connection, Number(event.0.saturating_sub(1)))
}

/// The checklist after an event; `None` if the events that lead there were removed.
pub(super) fn after(connection: &Connection, event: Number) -> rusqlite::Result<Option<Folded>> {
    let event = event.0.min(i64::MAX as u64).cast_signed();
    let snapshot = connection
        .prepare_cached(
            "SELECT event, changed_by, checklist FROM snapshots WHERE event <= ?1 ORDER BY event DESC LIMIT 1",
        )?
        .query_row([event], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    // There is one from the beginning on, and removing events leaves one in front of the first that stays.
    let Some((from, changed_by, text)) = snapshot else { return Ok(None) };
    let entries = row::yaml_or_null(Some(text))?.as_map().cloned().unwrap_or_default();
    let mut folded = Folded { checklist: Checklist::new(entries), changed_by: changed_by.cast_unsigned() };
    let mut events = connection.prepare_cached(
        "SELECT number, checklist, body FROM events
         WHERE number > ?1 AND number <= ?2 AND checklist IS NOT NULL ORDER BY number",
    )?;
    let mut rows = events.query([from, event])?;
    while let Some(row) = rows.next()? {
        let changes: Vec<Change> = row::from_json(row.get_ref(1)?.as_str()?)?;
        let body = row.get_ref(2)?.as_bytes_or_null()?.unwrap_or_default();
        for change in changes {
            apply(&mut folded.checklist, change, || row::payload(body))?;
        }
        folded.changed_by = row.get::<_, i64>(0)?.cast_unsigned();
    }
    Ok(Some(folded))
}

/// Makes a change; `payload` answers that of the event's message.
pub(super) fn apply(
    checklist: &mut Checklist,
    change: Change,
    payload: impl FnOnce() -> rusqlite::Result<Value>,
) -> rusqlite::Result<()> {
    match change {
        Change::PayloadMerged { key } => checklist.update(&key, payload()?),
        Change::ChecklistSet { path, value } => checklist.set(path.as_list().unwrap_or_default(), value),
        Change::ChecklistReplaced { checklist: whole } => {
            *checklist = Checklist::new(whole.as_map().cloned().unwrap_or_default());
        }
        // The others change something else.
        _ => {}
    }
    Ok(())
}
