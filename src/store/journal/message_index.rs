//! [`MessageIndex`]: finds the event of a message that was received before, by the broker's ticket or by the worker's own id.
//!
//! An index of the table of events would cost each commit another page or two, and most commits have one message. So the keys
//! of the latest events are held in memory, and put into tables many at once.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::speaker_name;
use nowcast_core::record::{RecordedEvent, Speaker};
use nowcast_core::{Number, Record, Ticket};

/// Events after which their keys are put into the tables: about a millisecond's work.
const MANY: usize = 1_000;

/// The keys of messages, and the numbers of their events.
#[derive(Debug, Default)]
pub(super) struct MessageIndex {
    /// The keys of events up to this one are in the tables.
    stored: u64,
    /// How many events came after that.
    later: usize,
    /// Their tickets.
    tickets: HashMap<Ticket, Number>,
    /// Their ids, each with its worker in front.
    ids: HashMap<(String, String), Number>,
    /// The highest number of each epoch in the tables. Most tickets are new, and higher.
    highest: RefCell<HashMap<u64, u64>>,
}

impl MessageIndex {
    /// Read the keys that are not in the tables yet.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let stored: i64 = connection.query_row("SELECT event FROM indexed", [], |row| row.get(0))?;
        let mut index = Self { stored: stored.cast_unsigned(), ..Self::default() };
        let mut later = connection.prepare(
            "SELECT number, ticket_epoch, ticket_number, worker, message_id FROM events WHERE number > ?1 ORDER BY number",
        )?;
        let mut rows = later.query([stored])?;
        while let Some(row) = rows.next()? {
            let number = Number(row.get::<_, i64>(0)?.cast_unsigned());
            index.add(number, ticket(row)?, row.get::<_, Option<String>>(3)?.zip(row.get(4)?));
        }
        Ok(index)
    }

    /// Whether the keys in memory are to be put into the tables.
    pub(super) fn is_due(&self) -> bool {
        self.later >= MANY
    }

    /// Put the keys of all events that are not in the tables into them. To be called within the transaction that commits a batch.
    pub(super) fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        // A commit that failed may still be there, and with it its keys.
        for statement in [
            "INSERT OR IGNORE INTO tickets (epoch, number, event) SELECT ticket_epoch, ticket_number, number FROM events
             WHERE number > ?1 AND ticket_epoch IS NOT NULL ORDER BY ticket_epoch, ticket_number, number",
            "INSERT OR IGNORE INTO message_ids (id, worker, event) SELECT message_id, worker, number FROM events
             WHERE number > ?1 AND message_id IS NOT NULL ORDER BY message_id, worker, number",
        ] {
            connection.prepare_cached(statement)?.execute([self.stored.cast_signed()])?;
        }
        connection.execute("UPDATE indexed SET event = (SELECT coalesce(max(number), 0) FROM events)", [])?;
        Ok(())
    }

    /// Note that events were committed, and whether [`MessageIndex::store`] was called for them.
    pub(super) fn note(&mut self, records: &[Record], was_stored: bool) {
        for record in records {
            let RecordedEvent::Message(kept) = &record.event else {
                self.later += 1;
                continue;
            };
            let source = kept.message.as_ref();
            let source_and_id = source.and_then(|said| Some((said.source.clone(), said.id.clone()?)));
            self.add(record.number, kept.ticket, source_and_id);
        }
        if was_stored && let Some(last) = records.last() {
            self.stored = last.number.0;
            self.later = 0;
            self.ids.clear();
            let highest = self.highest.get_mut();
            for (ticket, _) in self.tickets.drain() {
                // An epoch that was not asked for yet may have higher numbers in the table.
                if let Some(highest) = highest.get_mut(&ticket.epoch) {
                    *highest = ticket.number.max(*highest);
                }
            }
        }
    }

    /// Forget the keys of events that were removed.
    pub(super) fn forget(&mut self, removed: &BTreeSet<i64>) {
        if removed.is_empty() {
            return;
        }
        let is_kept = |event: &mut Number| !removed.contains(&event.0.cast_signed());
        self.tickets.retain(|_, event| is_kept(event));
        self.ids.retain(|_, event| is_kept(event));
    }

    fn add(&mut self, event: Number, ticket: Option<Ticket>, source_and_id: Option<(String, String)>) {
        self.later += 1;
        if let Some(ticket) = ticket {
            self.tickets.entry(ticket).or_insert(event);
        }
        if let Some(source_and_id) = source_and_id {
            self.ids.entry(source_and_id).or_insert(event);
        }
    }

    /// Return the event of the first message with this ticket, or else of the first with this id from this worker.
    pub(super) fn find(
        &self,
        connection: &Connection,
        ticket: Option<Ticket>,
        source_and_id: Option<(&str, &str)>,
    ) -> rusqlite::Result<Option<Number>> {
        let by_ticket = ticket.map(|ticket| self.find_ticket(connection, ticket)).transpose()?.flatten();
        match (by_ticket, source_and_id) {
            (None, Some((source, id))) => self.find_id(connection, source, id),
            _ => Ok(by_ticket),
        }
    }

    fn find_ticket(&self, connection: &Connection, ticket: Ticket) -> rusqlite::Result<Option<Number>> {
        if let Some(event) = self.tickets.get(&ticket) {
            return Ok(Some(*event));
        }
        if ticket.number > self.highest(connection, ticket.epoch)? {
            return Ok(None);
        }
        connection
            .prepare_cached("SELECT event FROM tickets WHERE epoch = ?1 AND number = ?2")?
            .query_row([ticket.epoch.cast_signed(), ticket.number.cast_signed()], number)
            .optional()
    }

    /// Return the highest number of an epoch in the table; 0 without one.
    fn highest(&self, connection: &Connection, epoch: u64) -> rusqlite::Result<u64> {
        let mut highest = self.highest.borrow_mut();
        if let Some(highest) = highest.get(&epoch) {
            return Ok(*highest);
        }
        let found: Option<i64> = connection
            .prepare_cached("SELECT max(number) FROM tickets WHERE epoch = ?1")?
            .query_row([epoch.cast_signed()], |row| row.get(0))?;
        let found = found.map_or(0, i64::cast_unsigned);
        highest.insert(epoch, found);
        Ok(found)
    }

    fn find_id(&self, connection: &Connection, source: &str, id: &str) -> rusqlite::Result<Option<Number>> {
        if let Some(event) = self.ids.get(&(source.to_owned(), id.to_owned())) {
            return Ok(Some(*event));
        }
        connection
            .prepare_cached("SELECT event FROM message_ids WHERE id = ?1 AND worker = ?2")?
            .query_row(params![id, source], number)
            .optional()
    }
}

/// Remove the keys of an event that is about to be removed.
pub(super) fn remove(connection: &Connection, event: i64) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM tickets WHERE event = ?1
         AND (epoch, number) IN (SELECT ticket_epoch, ticket_number FROM events WHERE number = ?1)",
        "DELETE FROM message_ids WHERE event = ?1
         AND (id, worker) IN (SELECT message_id, worker FROM events WHERE number = ?1)",
    ] {
        connection.prepare_cached(statement)?.execute([event])?;
    }
    Ok(())
}

/// Return the first events whose keys should be in the tables and are not, at most `limit`. The second decision of a parked message
/// has the same id as the first, whose key may have been removed with it.
pub(super) fn missing(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Number>> {
    let mut missing = connection.prepare(
        "SELECT number FROM events WHERE number <= (SELECT event FROM indexed) AND (
             (ticket_epoch IS NOT NULL AND (ticket_epoch, ticket_number) NOT IN (SELECT epoch, number FROM tickets))
             OR (message_id IS NOT NULL AND speaker = ?1
                 AND (message_id, worker) NOT IN (SELECT id, worker FROM message_ids))
         ) ORDER BY number",
    )?;
    missing.query_map([speaker_name(Speaker::Worker)], number)?.take(limit).collect()
}

fn ticket(row: &Row<'_>) -> rusqlite::Result<Option<Ticket>> {
    let (epoch, number): (Option<i64>, Option<i64>) = (row.get("ticket_epoch")?, row.get("ticket_number")?);
    let ticket = epoch.zip(number);
    Ok(ticket.map(|(epoch, number)| Ticket { epoch: epoch.cast_unsigned(), number: number.cast_unsigned() }))
}

fn number(row: &Row<'_>) -> rusqlite::Result<Number> {
    row.get::<_, i64>(0).map(|number| Number(number.cast_unsigned()))
}
