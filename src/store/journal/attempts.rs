//! The runs of the past in one pass, for forecasts. Only the table of runs is read, and of each row only what a forecast needs:
//! events have ten times as many bytes.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{History, JournalError, find, row};
use nowcast_core::record::Speaker;
use nowcast_core::{Ending, Number, RunId};
use pyyaml::Value;

/// A run that was launched, with what it sent. Its texts are those of the row.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Its number.
    pub id: RunId,
    /// The worker's name in the message registry.
    pub worker: &'a str,
    /// The host on which it runs.
    pub host: &'a str,
    /// Its arguments as a list in JSON.
    pub args: &'a str,
    /// The label of its cycle.
    pub cycle: Option<&'a str>,
    /// The event whose decision requested it.
    pub cause: Number,
    /// The first run of its chain.
    pub chain: RunId,
    /// 1 for the first execution, one more for each retry.
    pub attempt: u32,
    /// When it was launched, by the wall clock.
    pub launched: Timestamp,
    /// Its end; `None` while it runs.
    pub end: Option<AttemptEnd>,
    /// Whether its stop was requested.
    pub is_stopped: bool,
    /// Its messages with their types, in the order of their numbers.
    pub messages: &'a [(Number, Cow<'a, str>)],
}

/// The end of a run.
#[derive(Debug)]
pub struct AttemptEnd {
    /// How long it ran.
    pub after: SignedDuration,
    /// When it ended, by the wall clock.
    pub at: Timestamp,
    /// How it ended.
    pub ending: Ending,
}

/// A message that was received, as far as a forecast needs it.
#[derive(Debug)]
pub struct ReceivedMessage {
    /// When it was decided, by the wall clock.
    pub at: Timestamp,
    /// Who sent it.
    pub speaker: Speaker,
    /// Its payload.
    pub payload: Value,
}

/// The parts of a run's body that are read. The row has worker and arguments, too.
#[derive(Deserialize)]
struct StoredRun<'a> {
    #[serde(borrow)]
    worker: StoredWorker<'a>,
    origin: Option<RunId>,
    attempt: u32,
    #[serde(borrow)]
    stage: StoredStage<'a>,
    #[serde(borrow)]
    report: Option<StoredReport<'a>>,
    #[serde(borrow, default)]
    sent: Vec<StoredReport<'a>>,
    stop_requested: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StoredWorker<'a> {
    #[serde(borrow)]
    host: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredStage<'a> {
    Pending(IgnoredAny),
    Launched {
        at: Timestamp,
    },
    Ended {
        launched: Option<Timestamp>,
        exited: Option<Timestamp>,
        // Only runs that did not note their exit need it.
        #[serde(borrow)]
        at: Cow<'a, str>,
        ran: Option<SignedDuration>,
        ending: Ending,
    },
}

#[derive(Deserialize)]
struct StoredReport<'a> {
    message: Number,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

const ATTEMPTS: &str = "SELECT id, worker, args, cause, cycle, body FROM runs WHERE id >= ?1 ORDER BY id";

impl History {
    /// Call a function with each launched run that was requested since a moment, in the order of their numbers.
    ///
    /// # Errors
    /// The database cannot be read or is damaged, or the function says so of the arguments.
    pub fn attempts(
        &self,
        since: Timestamp,
        mut visit: impl FnMut(Attempt<'_>) -> Result<(), serde_json::Error>,
    ) -> Result<(), JournalError> {
        self.ask(|connection| {
            let first = find::first_run_since(connection, since)?;
            let mut statement = connection.prepare_cached(ATTEMPTS)?;
            let mut rows = statement.query([first])?;
            while let Some(row) = rows.next()? {
                read(row, &mut visit)?;
            }
            Ok(())
        })
    }

    /// Return a message; `None` if it was removed.
    ///
    /// # Errors
    /// The database cannot be read or is damaged.
    pub fn received_message(&self, number: Number) -> Result<Option<ReceivedMessage>, JournalError> {
        self.ask(|connection| received(connection, number))
    }
}

fn read(
    row: &Row<'_>,
    visit: &mut impl FnMut(Attempt<'_>) -> Result<(), serde_json::Error>,
) -> rusqlite::Result<()> {
    let body = row.get_ref(5)?.as_str()?;
    let run: StoredRun<'_> = serde_json::from_str(body).map_err(row::unreadable)?;
    let (launched, end) = match run.stage {
        StoredStage::Pending(_) => return Ok(()),
        StoredStage::Launched { at } => (at, None),
        StoredStage::Ended { launched, exited, at, ran, ending } => {
            let Some(launched) = launched else { return Ok(()) };
            let at = exited.map_or_else(|| at.parse().map_err(row::unreadable), Ok)?;
            let after = ran.unwrap_or_else(|| at.duration_since(launched)).max(SignedDuration::ZERO);
            (launched, Some(AttemptEnd { after, at, ending }))
        }
    };
    let id = row::number(row, 0)?;
    let mut messages: Vec<_> =
        run.sent.into_iter().chain(run.report).map(|sent| (sent.message, sent.r#type)).collect();
    messages.sort_unstable_by_key(|(message, _)| *message);
    visit(Attempt {
        id,
        worker: row.get_ref(1)?.as_str()?,
        host: &run.worker.host,
        args: row.get_ref(2)?.as_str()?,
        cycle: row.get_ref(4)?.as_str_or_null()?,
        cause: row::number(row, 3)?,
        chain: run.origin.unwrap_or(id),
        attempt: run.attempt,
        launched,
        end,
        is_stopped: run.stop_requested.is_some(),
        messages: &messages,
    })
    .map_err(row::unreadable)
}

fn received(connection: &Connection, number: Number) -> rusqlite::Result<Option<ReceivedMessage>> {
    let select = "SELECT at, speaker, body FROM events WHERE number = ?1 AND kind = 'message'";
    connection
        .prepare_cached(select)?
        .query_row([number.0.cast_signed()], |row| {
            Ok(ReceivedMessage {
                at: row::moment(row.get_ref(0)?.as_str()?)?.timestamp(),
                speaker: row::speaker(row.get_ref(1)?.as_str_or_null()?.unwrap_or_default())?,
                payload: row::payload(row.get_ref(2)?.as_bytes_or_null()?.unwrap_or_default())?,
            })
        })
        .optional()
}
