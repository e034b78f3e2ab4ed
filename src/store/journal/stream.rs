//! The calls of the rules, read again one after the other: each with what the rule was given.
//!
//! One pass in the order of events, the checklist and the notes folded on the way. It never holds more than one event, and
//! never copies the checklist or the notes.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use jiff::{Timestamp, ZonedDateTime};
use rusqlite::{Connection, OptionalExtension, params};

use super::find::HistoricalRules;
use super::fold::{self, Folded};
use super::{History, JournalError, find, load, order, row};
use nowcast_core::Join;
use nowcast_core::message::Message;
use nowcast_core::parked::{Parked, ParkedItem};
use nowcast_core::record::{MessageRecord, RecordedEvent, Speaker};
use nowcast_core::{Change, Command, Cycles, NextWorker, Number, Record, RuleFile};
use pyyaml::Value;

/// A message that reached the rules.
#[derive(Debug)]
pub struct HistoricalCall<'a> {
    /// Its number.
    pub number: Number,
    /// When it was decided.
    pub at: &'a ZonedDateTime,
    /// Its entry in the journal.
    pub kept: &'a MessageRecord,
    /// The message.
    pub message: &'a Message,
    /// The other input of its rule, or the reason why that is not known.
    pub given: Result<CallInput, &'static str>,
}

/// The input of a rule, without its message and the configuration.
#[derive(Debug)]
pub struct CallInput {
    /// The checklist.
    pub checklist: Value,
    /// The cycles and the notes of messages; `None` if they are not known.
    pub cycles: Option<Cycles>,
    /// Its `now()`.
    pub now: ZonedDateTime,
}

/// The journal at one moment, while calls are read.
#[derive(Debug)]
pub struct CallHistory<'a> {
    connection: &'a Connection,
    file: &'a Path,
    /// Launches without a run, by the message whose rule returned them.
    never_launched: HashMap<Number, Vec<NextWorker>>,
    /// The numbers of events from the first to the one behind the last that are read.
    pub numbers: std::ops::Range<u64>,
}

/// The launches and the join that a rule returned for a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleOutcome {
    /// The returned launches, at once or by the join that it opened, whatever their outcome.
    pub launches: Vec<NextWorker>,
    /// The join that it opened, as it is now.
    pub join: Option<Join>,
}

impl CallInput {
    fn of(folded: &Folded, now: ZonedDateTime) -> Self {
        Self { checklist: folded.checklist.to_value(), cycles: folded.cycles.clone(), now }
    }
}

/// How many of a record's changes its rule saw: up to the note of its message, which is the last one before the rule is called.
fn count_of_seen(changes: &[Change]) -> usize {
    let is_before = |change: &Change| change.is_of_checklist() || matches!(change, Change::Noted(_));
    changes.iter().rposition(is_before).map_or(0, |last| last + 1)
}

impl CallHistory<'_> {
    /// The rules of a generation; `None` if the journal does not know it.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn rules(&self, generation: u64) -> Result<Option<HistoricalRules>, JournalError> {
        find::historical_rules(self.connection, generation).map_err(|error| wrap(self.file, error))
    }

    /// Return the launches and the join that the rule returned for a message.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn rule_outcome(&self, message: Number) -> Result<RuleOutcome, JournalError> {
        let failed = |error| wrap(self.file, error);
        let runs = find::runs_caused_by(self.connection, message).map_err(failed)?;
        // The launches of a join by cycle or since a moment are its own: its first request may have come from another message.
        let runs = runs.into_iter().filter(|run| run.join.is_none());
        let waiting = self.never_launched.get(&message).into_iter().flatten().cloned();
        Ok(RuleOutcome {
            launches: runs.map(|run| run.worker).chain(waiting).collect(),
            join: find::join_opened_by(self.connection, message).map_err(failed)?,
        })
    }
}

fn wrap(file: &Path, error: rusqlite::Error) -> JournalError {
    JournalError::of(file, "read the journal", error)
}

impl History {
    /// Reads the calls of the rules from a moment on, or from the first one that is kept, before another; in
    /// the order in which they were.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged, and what `visit` answers.
    pub fn calls(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        visit: &mut dyn FnMut(&CallHistory<'_>, &HistoricalCall<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let failed = |error| wrap(&self.file, error);
        // All of it is of one moment, so what is removed meanwhile is still there.
        let moment = self.connection.unchecked_transaction().map_err(failed)?;
        let number = |moment_of: Option<Timestamp>, otherwise: i64| {
            moment_of.map_or(Ok(otherwise), |at| order::first_since(&moment, at)).map_err(failed)
        };
        let end = load::last_event(&moment).map_err(failed)?.cast_signed() + 1;
        let first = number(since, 1)?;
        let behind = number(until, end)?.max(first);
        let (mut folded, known_from) = begin(&moment, first).map_err(failed)?;
        let mut later_cycles = match folded.cycles {
            Some(_) => None,
            None => fold::first_cycles(&moment, first).map_err(failed)?,
        };
        let mut never_launched: HashMap<Number, Vec<NextWorker>> = HashMap::new();
        for launch in
            find::never_launched(&moment).map_err(failed)?.into_iter().filter(|launch| launch.join.is_none())
        {
            never_launched.entry(launch.cause).or_default().push(launch.worker);
        }
        let past = CallHistory {
            connection: &moment,
            file: &self.file,
            never_launched,
            numbers: first.cast_unsigned()..behind.cast_unsigned(),
        };
        let mut retries = Retries::default();
        let statement = format!(
            "SELECT {} FROM events WHERE number >= ?1 AND number < ?2 AND (checklist IS NOT NULL OR notes IS NOT NULL OR {CALLED})
             ORDER BY number",
            row::EVENT
        );
        let mut statement = moment.prepare(&statement).map_err(failed)?;
        let mut rows = statement.query([first, behind]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let Record { number, at, event, changes } = row::record(row).map_err(failed)?;
            let kept = match &event {
                RecordedEvent::Message(kept) => Some(&**kept),
                _ => None,
            };
            let said = kept.and_then(|kept| kept.message.as_ref());
            let payload = said.map_or(&Value::Null, |said| &said.payload);
            if let Some((_, cycles)) = later_cycles.take_if(|(event, _)| *event < number) {
                folded.cycles = Some(cycles);
            }
            // The rest of the record's changes followed from the rule's answer.
            let (seen_by_rule, later) = changes.split_at(count_of_seen(&changes));
            if number.0 >= known_from {
                folded.apply(number, seen_by_rule, payload);
            }
            if let (Some(kept), Some(message)) = (kept.filter(|kept| kept.outcome.reached_its_rule()), said) {
                let given = if number.0 < known_from {
                    Err(REMOVED)
                } else if kept.speaker == Speaker::Retry {
                    retries.given(&moment, number, message, &folded).map_err(failed)?
                } else {
                    Ok(CallInput::of(&folded, at.clone()))
                };
                visit(&past, &HistoricalCall { number, at: &at, kept, message, given })?;
            }
            if number.0 >= known_from {
                folded.apply(number, later, payload);
            }
        }
        Ok(())
    }

    /// The last generation of the rules that has another hash than `now` and whose files were kept: its number and
    /// its files, the main one first. `now` is that of the files, which may be newer than the last generation.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn rules_before(&self, now: &str) -> Result<Option<(u64, Vec<RuleFile>)>, JournalError> {
        let last = "SELECT generation FROM rules WHERE hash <> ?1
            AND hash IN (SELECT hash FROM rule_files) ORDER BY generation DESC LIMIT 1";
        let found = self.connection.query_row(last, [now], |row| row.get::<_, i64>(0)).optional();
        let Some(generation) = found.map_err(|error| wrap(&self.file, error))? else { return Ok(None) };
        let generation = generation.cast_unsigned();
        self.rule_files(generation).map(|files| Some((generation, files)))
    }
}

/// Why a checklist cannot be told.
const REMOVED: &str = "the events that led to its checklist were removed, as `journal: keep:` says";

/// The checklist and the cycles before an event, and the number from which on checklists are known.
fn begin(connection: &Connection, first: i64) -> rusqlite::Result<(Folded, u64)> {
    let number = Number(first.cast_unsigned());
    if let Some(folded) = fold::before(connection, number)? {
        return Ok((folded, number.0));
    }
    let earliest: i64 =
        connection.query_row("SELECT coalesce(min(event), 0) FROM snapshots", [], |row| row.get(0))?;
    let earliest = earliest.cast_unsigned();
    let folded = fold::after(connection, Number(earliest))?.unwrap_or_default();
    Ok((folded, earliest + 1))
}

/// The outcomes of messages that reached their rule, as the database has them.
pub(super) const CALLED: &str =
    r#"outcome = '"ruled"' OR outcome LIKE '{"rule_failed"%' OR outcome LIKE '{"no_function"%'"#;

/// The input of retries: the time of the parked message, and the requested checklist.
#[derive(Default)]
struct Retries {
    /// The command whose messages are being read.
    command: Option<Retry>,
}

/// A command, and the parked messages that it is about.
struct Retry {
    number: Number,
    /// The one that was asked for; all without it.
    asked: Option<Number>,
    historical_checklist: bool,
    /// Those of which none of its messages was found yet, in their order; a command that is about all takes them in it.
    parked: VecDeque<Parked>,
}

impl Retries {
    fn given(
        &mut self,
        connection: &Connection,
        number: Number,
        message: &Message,
        folded: &Folded,
    ) -> rusqlite::Result<Result<CallInput, &'static str>> {
        const UNKNOWN: &str = "which parked message it decided again cannot be told any more";
        // A command's record follows those of its messages, so it is the next command after each of them.
        if self.command.as_ref().is_none_or(|command| command.number < number) {
            self.command = Retry::after(connection, number)?;
        }
        let Some(command) = &mut self.command else { return Ok(Err(UNKNOWN)) };
        let Some(parked) = command.take(message) else { return Ok(Err(UNKNOWN)) };
        // As in the manager, a retry of all messages uses the current checklist for each.
        let mut given = CallInput::of(folded, parked.at);
        if let Some(asked) = command.asked.filter(|_| command.historical_checklist) {
            // Its own payload is in what its rule saw. The notes are the current ones also then.
            match fold::before(connection, Number(asked.0 + 1))? {
                Some(then) => given.checklist = then.checklist.to_value(),
                None => return Ok(Err(REMOVED)),
            }
        }
        Ok(Ok(given))
    }
}

impl Retry {
    /// The command of which an event is the first message.
    fn after(connection: &Connection, first: Number) -> rusqlite::Result<Option<Self>> {
        let Some(record) = find::command_after(connection, first)? else { return Ok(None) };
        let RecordedEvent::Command {
            command: Command::Retry { message: asked, historical_checklist }, ..
        } = record.event
        else {
            return Ok(None);
        };
        let parked = match asked {
            Some(asked) => find::kept(connection, "parked", asked)?.map(|kept| kept.item).into_iter().collect(),
            None => connection
                .prepare_cached(
                    "SELECT body FROM parked WHERE id < ?1 AND (closed_by IS NULL OR closed_by >= ?1) ORDER BY id",
                )?
                .query_and_then(params![first.0.cast_signed()], load::body)?
                .collect::<rusqlite::Result<_>>()?,
        };
        Ok(Some(Self { number: record.number, asked, historical_checklist, parked }))
    }

    /// The parked message that a message decided again. They come in one order, so it is near the front.
    fn take(&mut self, message: &Message) -> Option<Parked> {
        if self.asked.is_some() {
            return self.parked.pop_front();
        }
        let at = self.parked.iter().position(|parked| is_of(parked, message))?;
        self.parked.remove(at)
    }
}

/// Whether what was parked is that message.
fn is_of(parked: &Parked, message: &Message) -> bool {
    let ParkedItem::Message { source, r#type, payload, undecided, .. } = &parked.item else { return false };
    if let Some(body) = undecided {
        return Message::decode(body.as_bytes()).is_ok_and(|parked| {
            (parked.source, parked.r#type, parked.payload)
                == (message.source.clone(), message.r#type.clone(), message.payload.clone())
        });
    }
    (source, r#type) == (&message.source, &message.r#type)
        && pyyaml::read_own(payload.as_bytes()).is_ok_and(|payload| payload == message.payload)
}
