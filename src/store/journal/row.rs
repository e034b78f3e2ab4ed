//! Rows and what they stand for.

use std::error::Error;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::filter::EventKind;
use nowcast_core::message::Message;
use nowcast_core::record::{MessageRecord, RecordedEvent, Speaker};
use nowcast_core::{Change, Number, Record, Ticket};
use pyyaml::Value;

/// The columns that [`record`] reads, in its order.
pub(super) const EVENT: &str = "number, at, kind, worker, type, speaker, ticket_epoch, ticket_number, message_id, run, outcome, \
    generation, rule_location, keys_read, reply, reply_payload, user, answer, detail, checklist, body";

/// An event; of its changes those of the checklist, since the others are where what they changed is.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let text = |column: &str| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
    let kind = text("kind")?;
    let event = match kind.as_str() {
        "message" => RecordedEvent::Message(Box::new(message(row)?)),
        "run_ended" => RecordedEvent::RunEnded { run: optional_number(row, "run")?.unwrap_or_default() },
        "due" => RecordedEvent::Due,
        "command" => RecordedEvent::Command {
            user: text("user")?,
            command: from_json(&text("detail")?)?,
            answer: text("answer")?,
        },
        "rules_loaded" => RecordedEvent::RulesLoaded {
            generation: row.get::<_, i64>("generation")?.cast_unsigned(),
            hash: text("detail")?,
        },
        "rules_refused" => RecordedEvent::RulesRefused { reason: text("detail")? },
        "checklist_read" => RecordedEvent::ChecklistRead { why: text("detail")? },
        "clock_set" => {
            let ClockStep { from, to } = from_json(&text("detail")?)?;
            RecordedEvent::ClockSet { from, to }
        }
        other => return Err(unreadable(format!("an event of the unknown kind {other:?}"))),
    };
    let changes: Option<Vec<Change>> =
        row.get::<_, Option<String>>("checklist")?.map(|text| from_json(&text)).transpose()?;
    Ok(Record {
        number: number(row, "number")?,
        at: moment(&text("at")?)?,
        event,
        changes: changes.unwrap_or_default(),
    })
}

/// The detail of an event that is a step of the wall clock.
#[derive(Serialize, Deserialize)]
pub(super) struct ClockStep {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

fn message(row: &Row<'_>) -> rusqlite::Result<MessageRecord> {
    let body: Vec<u8> = row.get("body")?;
    let text = |column: &str| row.get::<_, Option<String>>(column);
    let integer = |column: &str| row.get::<_, Option<i64>>(column).map(|value| value.map(i64::cast_unsigned));
    let ticket = integer("ticket_epoch")?.zip(integer("ticket_number")?);
    let message = match (text("worker")?, text("type")?) {
        (Some(source), Some(r#type)) => {
            let whole = pyyaml::read_own(&body).map_err(unreadable)?;
            let run = whole.get("run").and_then(Value::as_str).map(str::to_owned);
            let payload = whole.get("payload").cloned().unwrap_or_default();
            Some(Message { source, r#type, payload, id: text("message_id")?, run })
        }
        _ => None,
    };
    let keys_read = text("keys_read")?.map(|keys| from_json(&keys)).transpose()?;
    Ok(MessageRecord {
        ticket: ticket.map(|(epoch, number)| Ticket { epoch, number }),
        message,
        speaker: speaker(&text("speaker")?.unwrap_or_default())?,
        run: optional_number(row, "run")?,
        outcome: from_json(&text("outcome")?.unwrap_or_default())?,
        generation: integer("generation")?.unwrap_or_default(),
        rule_location: text("rule_location")?,
        keys_read: keys_read.unwrap_or_default(),
        reply: text("reply")?.unwrap_or_default(),
        reply_payload: yaml_or_null(text("reply_payload")?)?,
        body,
    })
}

/// The value that a column holds as YAML; null for an empty column.
pub(super) fn yaml_or_null(text: Option<String>) -> rusqlite::Result<Value> {
    text.map_or(Ok(Value::Null), |text| pyyaml::read_own(text.as_bytes()).map_err(unreadable))
}

/// The payload of a message's body.
pub(super) fn payload(body: &[u8]) -> rusqlite::Result<Value> {
    Ok(pyyaml::read_own(body).map_err(unreadable)?.get("payload").cloned().unwrap_or_default())
}

pub(super) fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<Number> {
    row.get::<_, i64>(column).map(|number| Number(number.cast_unsigned()))
}

pub(super) fn optional_number(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Number>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|number| Number(number.cast_unsigned())))
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

fn speaker(name: &str) -> rusqlite::Result<Speaker> {
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

/// What is in the database and is not what was written there.
fn unreadable(why: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}
