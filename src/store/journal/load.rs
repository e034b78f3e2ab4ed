//! The state that a starting manager loads, and the replies that were sent.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::de::DeserializeOwned;

use super::{Journal, JournalError, clock, fold, row};
use nowcast_core::checklist::Checklist;
use nowcast_core::record::Outcome;
use nowcast_core::{Change, Cycles, Join, Number, Policy, PreviousReply, State, Ticket};
use pyyaml::Map;

/// Everything that a manager needs to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Open items: runs, joins, parked items, holds and expectations, and the rules that were in force; also joins that have ended and
    /// are still known.
    pub changes: Vec<Change>,
    /// The checklist.
    pub checklist: Map,
    /// The cycles, and the notes of messages.
    pub cycles: Cycles,
    /// The last event that changed the checklist; 0 if none did.
    pub checklist_event: Number,
    /// The highest number that was given to anything.
    pub last_number: u64,
    /// The wall clock at the last event.
    pub last_event: Option<Timestamp>,
}

impl Recovered {
    /// Return the state of a manager that goes on from here with this policy.
    #[must_use]
    pub fn state(self, policy: Arc<Policy>) -> State {
        let Self { changes, checklist, cycles, checklist_event, last_number, last_event } = self;
        let mut state = State::recovered(policy, checklist, cycles, changes, last_number, last_event);
        state.checklist_event = checklist_event;
        state
    }
}

impl Journal {
    /// Reads what is needed to go on.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn load(&self) -> Result<Recovered, JournalError> {
        load(&self.connection).map_err(|error| self.wrap("read what is open", error))
    }

    /// Return the reply that a message had, by the broker's ticket or by the worker's name and its own id of the message.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn find_previous_reply(
        &self,
        ticket: Option<Ticket>,
        source_and_id: Option<(&str, &str)>,
    ) -> Result<Option<PreviousReply>, JournalError> {
        self.index
            .find(&self.connection, ticket, source_and_id)
            .and_then(|event| event.map_or(Ok(None), |event| previous_reply(&self.connection, event)))
            .map_err(|error| self.wrap("look for a message", error))
    }
}

fn load(connection: &Connection) -> rusqlite::Result<Recovered> {
    let mut changes = open(connection)?;
    changes.extend(rules(connection)?);
    let clock = clock::clock(connection)?;
    changes.extend(clock.reading.map(Change::Clock));
    let folded = fold::after(connection, Number(u64::MAX))?.unwrap_or_default();
    Ok(Recovered {
        changes,
        checklist: entries(&folded.checklist),
        cycles: folded.cycles.unwrap_or_default(),
        checklist_event: Number(folded.changed_by),
        last_number: last_number(connection)?,
        last_event: clock.last_event,
    })
}

/// The entries of a checklist.
pub(super) fn entries(checklist: &Checklist) -> Map {
    checklist.to_value().as_map().cloned().unwrap_or_default()
}

/// Return open items as the changes that create them.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let runs = "SELECT body FROM runs WHERE is_open = 1 ORDER BY id";
    changes.extend(all(connection, runs)?.into_iter().map(Change::Run));
    let joins = "SELECT body FROM joins WHERE closed_by IS NULL ORDER BY id";
    changes.extend(all(connection, joins)?.into_iter().map(Change::Join));
    let known = "SELECT body FROM joins WHERE is_known = 1 AND closed_by IS NOT NULL ORDER BY id";
    for join in all::<Join>(connection, known)? {
        let closed = Change::JoinClosed(join.id);
        changes.extend([Change::Join(join), closed]);
    }
    let parked = "SELECT body FROM parked WHERE closed_by IS NULL ORDER BY id";
    changes.extend(all(connection, parked)?.into_iter().map(Change::Parked));
    let holds = "SELECT body FROM holds WHERE closed_by IS NULL ORDER BY id";
    changes.extend(all(connection, holds)?.into_iter().map(Change::Hold));
    changes.extend(scheduled(connection)?);
    let expected = "SELECT body FROM expectations ORDER BY worker, type";
    changes.extend(all(connection, expected)?.into_iter().map(Change::Expected));
    Ok(changes)
}

/// The times for which each entry of the schedule was launched.
fn scheduled(connection: &Connection) -> rusqlite::Result<Vec<Change>> {
    let change = |row: &Row<'_>| {
        let (item, due) = (row.get("item")?, row::time(row, "due")?);
        Ok(Change::Scheduled { item, due, expired: Vec::new() })
    };
    connection.prepare_cached("SELECT item, due FROM scheduled")?.query_map([], change)?.collect()
}

fn all<T: DeserializeOwned>(connection: &Connection, statement: &str) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(statement)?.query_and_then([], body)?.collect()
}

/// Decode the body of a row.
pub(super) fn body<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    row::from_json(row.get_ref("body")?.as_str()?)
}

fn rules(connection: &Connection) -> rusqlite::Result<Option<Change>> {
    connection
        .query_row("SELECT generation, hash FROM rules ORDER BY generation DESC LIMIT 1", [], |row| {
            Ok(Change::Rules(row::counted(row.get(0)?)?, row.get(1)?, Vec::new()))
        })
        .optional()
}

/// The last event; 0 if there is none.
pub(super) fn last_event(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(number), 0) FROM events", [], |row| row::counted(row.get(0)?))
}

/// The last number that was given to anything.
pub(super) fn last_number(connection: &Connection) -> rusqlite::Result<u64> {
    let mut last = last_event(connection)?;
    for table in ["runs", "joins", "parked", "holds"] {
        let statement = format!("SELECT coalesce(max(id), 0) FROM {table}");
        last = last.max(connection.query_row(&statement, [], |row| row::counted(row.get(0)?))?);
    }
    Ok(last)
}

/// The reply to a message; `None` if its event was removed.
fn previous_reply(connection: &Connection, event: Number) -> rusqlite::Result<Option<PreviousReply>> {
    connection
        .prepare_cached("SELECT number, reply, reply_payload, outcome, body FROM events WHERE number = ?1")?
        .query_row([event.0.cast_signed()], reply)
        .optional()
}

fn reply(row: &Row<'_>) -> rusqlite::Result<PreviousReply> {
    let is_need = row::from_json::<Outcome>(row.get_ref("outcome")?.as_str()?)? == Outcome::Answered;
    let need = if is_need { Some(row::payload(row.get_ref("body")?.as_blob()?)?) } else { None };
    Ok(PreviousReply {
        number: row::number(row, "number")?,
        reply: row.get("reply")?,
        payload: row::yaml_or_null(row.get("reply_payload")?)?,
        need,
    })
}
