//! The configuration of each moment, as the text of its file. It is never parsed here.

use rusqlite::{Connection, OptionalExtension, params};

use super::{History, Journal, JournalError};
use nowcast_core::Number;

impl Journal {
    /// Keep the text of the configuration by which the events of the next commits are decided, with the first of them. One that has not changed is
    /// kept already.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn set_configuration(&mut self, text: &str) -> Result<(), JournalError> {
        let last =
            at(&self.connection, i64::MAX).map_err(|error| self.wrap("read the configuration", error))?;
        self.new_configuration = (last.as_deref() != Some(text)).then(|| text.to_owned());
        Ok(())
    }
}

impl History {
    /// Return the text of the configuration by which an event was decided, or would have been; `None` if it is not known.
    ///
    /// # Errors
    /// The database cannot be read or is damaged.
    pub fn configuration(&self, event: Number) -> Result<Option<String>, JournalError> {
        self.ask(|connection| at(connection, event.0.cast_signed()))
    }
}

fn at(connection: &Connection, event: i64) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT text FROM configurations WHERE event <= ?1 ORDER BY event DESC LIMIT 1")?
        .query_row([event], |row| row.get(0))
        .optional()
}

/// Write the text in force from an event on.
pub(super) fn put(connection: &Connection, event: Number, text: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO configurations (event, text) VALUES (?1, ?2)")?
        .execute(params![event.0.cast_signed(), text])
        .map(|_| ())
}

/// Remove those of the time before an event; the one of that event stays.
pub(super) fn remove_before(connection: &Connection, event: i64) -> rusqlite::Result<()> {
    connection
        .execute(
            "DELETE FROM configurations WHERE event < (SELECT max(event) FROM configurations WHERE event <= ?1)",
            [event],
        )
        .map(|_| ())
}
