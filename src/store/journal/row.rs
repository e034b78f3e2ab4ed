//! Rows and what they stand for.

use std::error::Error;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use rusqlite::types::Type;
use rusqlite::{Row, RowIndex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::filter::EventKind;
use nowcast_core::message::Message;
use nowcast_core::record::{MessageRecord, RecordedEvent, Speaker};
use nowcast_core::{Change, Cycle, Number, Record, Ticket};
use pyyaml::Value;

/// The columns that [`record`] reads.
pub(super) const EVENT: &str = "number, at, kind, worker, type, speaker, ticket_epoch, ticket_number, message_id, run, outcome, \
    generation, rule_location, keys_read, reply, reply_payload, user, answer, detail, checklist, body, cycle, notes, join_request";

/// The positions of the columns in [`EVENT`]. To find each by its name would take a sixth of the time of a long list.
mod column {
    pub(super) const NUMBER: usize = 0;
    pub(super) const AT: usize = 1;
    pub(super) const KIND: usize = 2;
    pub(super) const WORKER: usize = 3;
    pub(super) const TYPE: usize = 4;
    pub(super) const SPEAKER: usize = 5;
    pub(super) const TICKET_EPOCH: usize = 6;
    pub(super) const TICKET_NUMBER: usize = 7;
    pub(super) const MESSAGE_ID: usize = 8;
    pub(super) const RUN: usize = 9;
    pub(super) const OUTCOME: usize = 10;
    pub(super) const GENERATION: usize = 11;
    pub(super) const RULE_LOCATION: usize = 12;
    pub(super) const KEYS_READ: usize = 13;
    pub(super) const REPLY: usize = 14;
    pub(super) const REPLY_PAYLOAD: usize = 15;
    pub(super) const USER: usize = 16;
    pub(super) const ANSWER: usize = 17;
    pub(super) const DETAIL: usize = 18;
    pub(super) const CHECKLIST: usize = 19;
    pub(super) const BODY: usize = 20;
    pub(super) const CYCLE: usize = 21;
    pub(super) const NOTES: usize = 22;
    pub(super) const JOIN_REQUEST: usize = 23;
}

/// An event; of its changes those of the checklist and of the notes, since the others are where what they changed is.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let text = |column: usize| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
    let event = match row.get_ref(column::KIND)?.as_str()? {
        "message" => RecordedEvent::Message(Box::new(message(row)?)),
        "run_ended" => {
            RecordedEvent::RunEnded { run: optional_number(row, column::RUN)?.unwrap_or_default() }
        }
        "due" => RecordedEvent::Due,
        "forecast" => RecordedEvent::Forecast,
        "command" => RecordedEvent::Command {
            user: text(column::USER)?,
            command: from_json(&text(column::DETAIL)?)?,
            answer: text(column::ANSWER)?,
        },
        "rules_loaded" => RecordedEvent::RulesLoaded {
            generation: counted(row.get(column::GENERATION)?)?,
            hash: text(column::DETAIL)?,
        },
        "rules_refused" => RecordedEvent::RulesRefused { reason: text(column::DETAIL)? },
        "checklist_read" => RecordedEvent::ChecklistRead { why: text(column::DETAIL)? },
        "clock_set" => {
            let ClockStep { from, to } = from_json(&text(column::DETAIL)?)?;
            RecordedEvent::ClockSet { from, to }
        }
        other => return Err(unreadable(format!("an event of the unknown kind {other:?}"))),
    };
    let stored = |column: usize| row.get_ref(column).and_then(|value| Ok(value.as_str_or_null()?));
    Ok(Record {
        number: number(row, column::NUMBER)?,
        at: moment(row.get_ref(column::AT)?.as_str()?)?,
        event,
        changes: changes(stored(column::CHECKLIST)?, stored(column::NOTES)?)?,
    })
}

/// The changes that the columns `checklist` and `notes` hold.
pub(super) fn changes(checklist: Option<&str>, notes: Option<&str>) -> rusqlite::Result<Vec<Change>> {
    let mut changes: Vec<Change> = checklist.map_or(Ok(Vec::new()), from_json)?;
    if let Some(notes) = notes {
        changes.extend(from_json::<Vec<Change>>(notes)?);
    }
    Ok(changes)
}

/// The detail of an event that is a step of the wall clock.
#[derive(Serialize, Deserialize)]
pub(super) struct ClockStep {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

fn message(row: &Row<'_>) -> rusqlite::Result<MessageRecord> {
    let body: Vec<u8> = row.get(column::BODY)?;
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let integer =
        |column: usize| row.get::<_, Option<i64>>(column).map(|value| value.map(i64::cast_unsigned));
    let ticket = integer(column::TICKET_EPOCH)?.zip(integer(column::TICKET_NUMBER)?);
    let message = match (text(column::WORKER)?, text(column::TYPE)?) {
        (Some(source), Some(r#type)) => {
            let whole = pyyaml::read_own(&body).map_err(unreadable)?;
            let run = whole.get("run").and_then(Value::as_str).map(str::to_owned);
            let payload = whole.get("payload").cloned().unwrap_or_default();
            let cycle = text(column::CYCLE)?.map(|label| cycle(&label)).transpose()?;
            let id = text(column::MESSAGE_ID)?;
            Some(Message { id, run, cycle, ..Message::new(source, r#type, payload) })
        }
        _ => None,
    };
    let keys_read = row.get_ref(column::KEYS_READ)?.as_str_or_null()?.map(from_json).transpose()?;
    let join_request = row.get_ref(column::JOIN_REQUEST)?.as_str_or_null()?.map(from_json).transpose()?;
    Ok(MessageRecord {
        ticket: ticket.map(|(epoch, number)| Ticket { epoch, number }),
        message,
        speaker: speaker(row.get_ref(column::SPEAKER)?.as_str_or_null()?.unwrap_or_default())?,
        run: optional_number(row, column::RUN)?,
        outcome: from_json(row.get_ref(column::OUTCOME)?.as_str_or_null()?.unwrap_or_default())?,
        generation: integer(column::GENERATION)?.unwrap_or_default(),
        rule_location: text(column::RULE_LOCATION)?,
        join_request,
        keys_read: keys_read.unwrap_or_default(),
        reply: text(column::REPLY)?.unwrap_or_default(),
        reply_payload: yaml_or_null(text(column::REPLY_PAYLOAD)?)?,
        body,
    })
}

/// The cycle that a column holds.
pub(super) fn cycle(label: &str) -> rusqlite::Result<Cycle> {
    Cycle::parse(label).map_err(unreadable)
}

/// The value that a column holds as YAML; null for an empty column.
pub(super) fn yaml_or_null(text: Option<String>) -> rusqlite::Result<Value> {
    text.map_or(Ok(Value::Null), |text| pyyaml::read_own(text.as_bytes()).map_err(unreadable))
}

/// The payload of a message's body.
pub(super) fn payload(body: &[u8]) -> rusqlite::Result<Value> {
    Ok(pyyaml::read_own(body).map_err(unreadable)?.get("payload").cloned().unwrap_or_default())
}

/// The highest number or rules generation that is read. No journal reaches it, and counting can go on from it.
const HIGHEST: u64 = 1 << 62;

/// Return a count from a number of the database.
pub(super) fn counted(number: i64) -> rusqlite::Result<u64> {
    let counted = u64::try_from(number).ok().filter(|number| *number <= HIGHEST);
    counted.ok_or_else(|| unreadable(format!("the number {number}, which no journal reaches")))
}

pub(super) fn number(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Number> {
    counted(row.get(column)?).map(Number)
}

pub(super) fn optional_number(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Option<Number>> {
    row.get::<_, Option<i64>>(column)?.map(|number| counted(number).map(Number)).transpose()
}

/// A moment with its zone. One whose zone this machine does not know is read in UTC.
pub(super) fn moment(text: &str) -> rusqlite::Result<ZonedDateTime> {
    text.parse::<ZonedDateTime>().or_else(|_| {
        let instant: Timestamp = text.parse().map_err(unreadable)?;
        Ok(instant.to_zoned_datetime(TimeZone::UTC))
    })
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error: jiff::Error| unreadable(error.to_string()))
}

pub(super) fn kind(event: &RecordedEvent) -> EventKind {
    match event {
        RecordedEvent::Message(_) => EventKind::Message,
        RecordedEvent::RunEnded { .. } => EventKind::RunEnded,
        RecordedEvent::Due => EventKind::Due,
        RecordedEvent::Forecast => EventKind::Forecast,
        RecordedEvent::Command { .. } => EventKind::Command,
        RecordedEvent::RulesLoaded { .. } => EventKind::RulesLoaded,
        RecordedEvent::RulesRefused { .. } => EventKind::RulesRefused,
        RecordedEvent::ChecklistRead { .. } => EventKind::ChecklistRead,
        RecordedEvent::ClockSet { .. } => EventKind::ClockSet,
    }
}

pub(super) fn speaker_name(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Worker => "worker",
        Speaker::Manager => "manager",
        Speaker::Operator => "operator",
        Speaker::Retry => "retry",
    }
}

pub(super) fn speaker(name: &str) -> rusqlite::Result<Speaker> {
    let all = [Speaker::Worker, Speaker::Manager, Speaker::Operator, Speaker::Retry];
    let found = all.into_iter().find(|speaker| speaker_name(*speaker) == name);
    found.ok_or_else(|| unreadable(format!("a message of the unknown speaker {name:?}")))
}

pub(super) fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(unreadable)
}

/// An error of a value, with the place where it is.
pub(super) fn damaged(place: &str, error: &rusqlite::Error) -> rusqlite::Error {
    unreadable(format!("{place}: {error}"))
}

/// A value in the database that was not written there by this program.
pub(super) fn unreadable(why: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}
