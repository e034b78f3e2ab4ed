//! [`Journal::commit`]: checks that the journal is still in its place, then writes a batch of records in one transaction.

use std::borrow::Cow;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::folder_stamp::FolderStamp;
use super::message_index::MessageIndex;
use super::row::{self, ClockStep, json, speaker_name};
use super::{Journal, JournalError, configurations, lock};
use crate::failpoint;
use nowcast_core::expected::Expected;
use nowcast_core::record::{MessageRecord, RecordedEvent, Speaker};
use nowcast_core::{Change, Cycle, Join, Number, Record, Run};
use pyyaml::{Keys, Value};

/// By how much a commit made the way from the last snapshot longer.
#[derive(Debug, Default)]
pub(super) struct Growth {
    pub(super) events: u64,
    /// How many of them changed the checklist or the notes.
    pub(super) changes: u64,
    /// Bytes of those: their messages and values.
    pub(super) bytes: u64,
    /// The last one that changed the checklist.
    pub(super) checklist_event: Option<u64>,
}

impl Journal {
    /// Write records, all in one commit or none of them. When it returns, they are on the disk. After an error it can be called again
    /// with the same ones.
    ///
    /// # Errors
    ///
    /// If the disk is full, the database cannot be written, or it is not where it was any more.
    pub fn commit(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let Some(last) = records.last() else { return Ok(()) };
        self.check()?;
        let index = Some(&self.index).filter(|index| index.is_due());
        let stores_index = index.is_some();
        match self.write(records, index) {
            Ok(grown) => {
                self.uncertain = false;
                self.new_configuration = None;
                self.last_event = last.number.0;
                self.tail.grow(&grown);
                self.index.note(records, stores_index);
                self.commits = self.commits.wrapping_add(1);
                failpoint::pass("manager: committed");
                self.lock.note(self.last_event);
                Ok(())
            }
            Err(error) => {
                self.uncertain = true;
                Err(self.wrap("keep what happened", error))
            }
        }
    }

    /// Write records in one transaction, their keys into `index`, if it is given, and a new configuration.
    fn write(&self, records: &[Record], index: Option<&MessageIndex>) -> rusqlite::Result<Growth> {
        let connection = &self.connection;
        let transaction = WriteTransaction::begin(connection)?;
        // The transaction before failed and may still be there.
        for record in records.iter().filter(|_| self.uncertain) {
            // Only the records of this batch: one with another time belongs to another batch.
            connection.execute(
                "DELETE FROM events WHERE number = ?1 AND at = ?2",
                params![record.number.0.cast_signed(), record.at.to_string()],
            )?;
        }
        if let (Some(text), Some(first)) = (&self.new_configuration, records.first()) {
            configurations::put(connection, first.number, text)?;
        }
        let mut grown = Growth::default();
        for record in records {
            insert_event(connection, record, &mut grown)?;
        }
        if let Some(index) = index {
            index.store(connection)?;
        }
        transaction.finish()?;
        Ok(grown)
    }

    /// Check that the journal was not removed or replaced: writes to a file without a name are lost. It looks at each file only
    /// if the folder has changed.
    fn check(&mut self) -> Result<(), JournalError> {
        let stamp = FolderStamp::of(self.lock.folder());
        if stamp.is_none() || stamp != self.checked {
            self.lock.check()?;
            self.check_files()?;
            self.checked = stamp;
        }
        Ok(())
    }

    fn check_files(&self) -> Result<(), JournalError> {
        let mut files = self.open_files.iter();
        let Some((file, _)) = files.find(|(file, identity)| !lock::is_at(*identity, file)) else {
            return Ok(());
        };
        // A log without a name still has what was acknowledged. The next manager finds that in the database, if this
        // one can put it there; if not, it says which events are missing.
        if *file != self.file {
            let _ = self.checkpoint("FULL");
        }
        Err(JournalError::Replaced { file: file.clone() })
    }
}

/// A transaction that writes. Unlike rusqlite's own, it keeps its statements prepared: most batches are one message, and would
/// notice. It is rolled back if it is not committed.
struct WriteTransaction<'a>(&'a Connection);

impl<'a> WriteTransaction<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(connection))
    }

    fn finish(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(|_| ())
    }
}

impl Drop for WriteTransaction<'_> {
    fn drop(&mut self) {
        // Some errors, such as a full disk, have rolled it back already.
        if !self.0.is_autocommit() {
            // If this fails, so does the next batch, which reports it.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

fn insert_event(connection: &Connection, record: &Record, grown: &mut Growth) -> rusqlite::Result<()> {
    let folded = FoldedChanges {
        checklist: changes_as_json(record, Change::is_of_checklist)?,
        notes: changes_as_json(record, Change::is_of_notes)?,
    };
    let message = match &record.event {
        RecordedEvent::Message(message) => Some(&**message),
        _ => None,
    };
    let body = message.map(body);
    grown.events += 1;
    let lengths = [folded.checklist.as_ref().map(String::len), folded.notes.as_ref().map(String::len)];
    if lengths != [None, None] {
        grown.changes += 1;
        let body = body.as_ref().map_or(0, |body| body.len());
        grown.bytes += (lengths.into_iter().flatten().sum::<usize>() + body) as u64;
    }
    grown.checklist_event = folded.checklist.as_ref().map(|_| record.number.0).or(grown.checklist_event);
    match message {
        Some(message) => insert_message(connection, record, message, &folded, body.as_deref())?,
        None => insert_other_event(connection, record, &folded)?,
    }
    record.changes.iter().try_for_each(|change| write_change(connection, record.number, change))
}

/// The changes that an event's row has itself, as JSON; `None` without any.
struct FoldedChanges {
    checklist: Option<String>,
    notes: Option<String>,
}

fn changes_as_json(record: &Record, is_included: fn(&Change) -> bool) -> rusqlite::Result<Option<String>> {
    let included: Vec<&Change> = record.changes.iter().filter(|change| is_included(change)).collect();
    if included.is_empty() { Ok(None) } else { json(&included).map(Some) }
}

/// Return the bytes that are stored of a message. One that was made here is written in the order that was given, since the
/// order of its keys is that of the checklist; a worker's has it from the wire.
fn body(message: &MessageRecord) -> Cow<'_, [u8]> {
    match &message.message {
        Some(made) if message.speaker != Speaker::Worker => {
            let mut pairs: Vec<(&str, Value)> = vec![
                ("source", made.source.as_str().into()),
                ("type", made.r#type.as_str().into()),
                ("payload", made.payload.clone()),
            ];
            pairs.extend(made.run.as_deref().map(|run| ("run", run.into())));
            pairs.extend(made.cycle.as_ref().map(|cycle| ("cycle", cycle.as_str().into())));
            Cow::Owned(pyyaml::write(&pairs.into_iter().collect(), Keys::AsGiven).into_bytes())
        }
        _ => Cow::Borrowed(&message.body),
    }
}

fn insert_message(
    connection: &Connection,
    record: &Record,
    kept: &MessageRecord,
    folded: &FoldedChanges,
    body: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let message = kept.message.as_ref();
    let join_request = kept.join_request.as_ref().map(json).transpose()?;
    let keys_read = if kept.keys_read.is_empty() { None } else { Some(json(&kept.keys_read)?) };
    let reply_payload =
        (!kept.reply_payload.is_null()).then(|| pyyaml::write(&kept.reply_payload, Keys::AsGiven));
    connection
        .prepare_cached(
            "INSERT INTO events (number, at, kind, worker, type, speaker, ticket_epoch, ticket_number, message_id, run, outcome,
                generation, rule_location, keys_read, reply, reply_payload, checklist, body, cycle, notes,
                join_request)
             VALUES (?1, ?2, 'message', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        )?
        .execute(params![
            record.number.0.cast_signed(),
            record.at.to_string(),
            message.map(|message| &message.source),
            message.map(|message| &message.r#type),
            speaker_name(kept.speaker),
            kept.ticket.map(|ticket| ticket.epoch.cast_signed()),
            kept.ticket.map(|ticket| ticket.number.cast_signed()),
            message.and_then(|message| message.id.as_ref()),
            kept.run.map(|run| run.0.cast_signed()),
            json(&kept.outcome)?,
            kept.generation.cast_signed(),
            kept.rule_location,
            keys_read,
            kept.reply,
            reply_payload,
            folded.checklist,
            body,
            message.and_then(|message| message.cycle.as_ref()).map(Cycle::as_str),
            folded.notes,
            join_request,
        ])?;
    Ok(())
}

fn insert_other_event(
    connection: &Connection,
    record: &Record,
    folded: &FoldedChanges,
) -> rusqlite::Result<()> {
    let number = record.number.0.cast_signed();
    let (mut run, mut generation, mut user, mut answer, mut detail) = (None, None, None, None, None);
    match &record.event {
        // `insert_message` has messages; `Due` and `Forecast` have no further columns.
        RecordedEvent::Message(_) | RecordedEvent::Due | RecordedEvent::Forecast => {}
        RecordedEvent::RunEnded { run: ended } => run = Some(ended.0.cast_signed()),
        RecordedEvent::Command { user: asking, command, answer: answered } => {
            (user, answer, detail) = (Some(asking), Some(answered), Some(json(command)?));
        }
        RecordedEvent::RulesLoaded { generation: loaded, hash } => {
            (generation, detail) = (Some(loaded.cast_signed()), Some(hash.clone()));
        }
        RecordedEvent::RulesRefused { reason } => {
            detail = Some(reason.clone());
            connection.execute(
                "INSERT INTO rules SELECT 0, '', 0, NULL, NULL WHERE NOT EXISTS (SELECT * FROM rules)",
                [],
            )?;
            connection.execute(
                "UPDATE rules SET refused = ?1, refused_by = ?2 WHERE generation = (SELECT max(generation) FROM rules)",
                params![reason, number],
            )?;
        }
        RecordedEvent::ChecklistRead { why } => detail = Some(why.clone()),
        RecordedEvent::ClockSet { from, to } => detail = Some(json(&ClockStep { from: *from, to: *to })?),
    }
    connection
        .prepare_cached(
            "INSERT INTO events (number, at, kind, run, generation, user, answer, detail, checklist, notes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            number,
            record.at.to_string(),
            row::kind(&record.event).name(),
            run,
            generation,
            user,
            answer,
            detail,
            folded.checklist,
            folded.notes,
        ])?;
    Ok(())
}

fn write_change(connection: &Connection, by: Number, change: &Change) -> rusqlite::Result<()> {
    match change {
        // Within the event's row.
        Change::PayloadMerged { .. } | Change::ChecklistSet { .. } | Change::ChecklistReplaced { .. } => {
            Ok(())
        }
        Change::Noted(_)
        | Change::CycleSeen { .. }
        | Change::CycleLaunched { .. }
        | Change::CycleMarked { .. }
        | Change::CycleRewound { .. }
        | Change::CycleForgotten(_) => Ok(()),
        Change::Run(run) => put_run(connection, by, run),
        Change::Join(join) => put_join(connection, join),
        Change::JoinClosed(id) => close(connection, "UPDATE joins SET closed_by = ?2 WHERE id = ?1", *id, by),
        Change::JoinConflict { id, conflict } => {
            // Of a join that may be closed: the rest of its row stays.
            let set = "UPDATE joins SET body = json_set(body, '$.identity.conflict', json(?2)) WHERE id = ?1";
            connection.prepare_cached(set)?.execute(params![id.0.cast_signed(), json(conflict)?]).map(|_| ())
        }
        Change::JoinForgotten(id) => {
            let mut forget = connection.prepare_cached("UPDATE joins SET is_known = 0 WHERE id = ?1")?;
            forget.execute([id.0.cast_signed()]).map(|_| ())
        }
        Change::Parked(parked) => put_body(connection, PUT_PARKED, parked.id, &json(parked)?),
        Change::ParkedClosed(id) => {
            close(connection, "UPDATE parked SET closed_by = ?2 WHERE id = ?1", *id, by)
        }
        Change::Hold(hold) => put_body(connection, PUT_HOLD, hold.id, &json(hold)?),
        Change::HoldReleased(id) => {
            close(connection, "UPDATE holds SET closed_by = ?2 WHERE id = ?1", *id, by)
        }
        Change::Acknowledged(run) => {
            close(connection, "UPDATE runs SET acknowledged_by = ?2 WHERE id = ?1", *run, by)
        }
        Change::Scheduled { item, due, expired } => put_scheduled(connection, item, *due, expired),
        Change::Expected(expected) => {
            let Expected { worker, r#type, .. } = expected;
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO expectations (worker, type, body) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![worker, r#type, json(expected)?])?;
            Ok(())
        }
        Change::NotExpected(worker, r#type) => {
            connection
                .execute("DELETE FROM expectations WHERE worker = ?1 AND type = ?2", [worker, r#type])?;
            Ok(())
        }
        Change::Clock(reading) => {
            let put = "INSERT OR REPLACE INTO clock_readings (event, body) VALUES (?1, ?2)";
            put_body(connection, put, by, &json(reading)?)
        }
        Change::Rules(generation, hash, files) => {
            connection.execute(
                "INSERT OR REPLACE INTO rules (generation, hash, loaded_by) VALUES (?1, ?2, ?3)",
                params![generation.cast_signed(), hash, by.0.cast_signed()],
            )?;
            (0_i64..).zip(files).try_for_each(|(position, file)| {
                connection
                    .execute(
                        "INSERT OR IGNORE INTO rule_files (hash, position, name, text) VALUES (?1, ?2, ?3, ?4)",
                        params![hash, position, file.name, file.text],
                    )
                    .map(|_| ())
            })
        }
    }
}

const PUT_PARKED: &str = "INSERT INTO parked (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = ?2, closed_by = NULL";
const PUT_HOLD: &str =
    "INSERT INTO holds (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = ?2, closed_by = NULL";

fn put_join(connection: &Connection, join: &Join) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO joins (id, body, is_known) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET body = ?2, closed_by = NULL, is_known = ?3",
        )?
        .execute(params![join.id.0.cast_signed(), json(join)?, join.identity.is_some()])
        .map(|_| ())
}

fn put_body(connection: &Connection, statement: &str, id: Number, body: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute(params![id.0.cast_signed(), body])?;
    Ok(())
}

/// Add a time of an entry of the schedule, and remove others.
fn put_scheduled(
    connection: &Connection,
    item: &str,
    due: Timestamp,
    expired: &[Timestamp],
) -> rusqlite::Result<()> {
    let mut remove = connection.prepare_cached("DELETE FROM scheduled WHERE item = ?1 AND due = ?2")?;
    for time in expired {
        remove.execute([item, &time.to_string()])?;
    }
    let put = "INSERT OR IGNORE INTO scheduled (item, due) VALUES (?1, ?2)";
    connection.prepare_cached(put)?.execute([item, &due.to_string()]).map(|_| ())
}

fn close(connection: &Connection, statement: &str, id: Number, by: Number) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([id.0.cast_signed(), by.0.cast_signed()])?;
    Ok(())
}

fn put_run(connection: &Connection, by: Number, run: &Run) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO runs (id, worker, args, cause, changed_by, is_open, succeeded, body, cycle)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET changed_by = ?5, is_open = ?6, succeeded = ?7, body = ?8",
        )?
        .execute(params![
            run.id.0.cast_signed(),
            run.worker.name(),
            json(&run.worker.args)?,
            run.cause.0.cast_signed(),
            by.0.cast_signed(),
            !run.is_closed(),
            run.has_succeeded(),
            json(run)?,
            run.cycle.as_ref().map(Cycle::as_str),
        ])?;
    Ok(())
}
