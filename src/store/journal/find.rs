//! The questions that the history can answer, and the queries for them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::filter::{EventFilter, RunFilter, RunState};
use super::{load, order, row};
use nowcast_core::Join;
use nowcast_core::parked::{Parked, ParkedItem};
use nowcast_core::run::{RunId, Stage};
use nowcast_core::{
    Command, Ending, NextWorker, Number, Record, RequestedLaunch, Rewind, RuleFile, Run, Steady,
};

/// Something that is open until it is closed, and stays in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    /// As it is, or was in the end.
    pub item: T,
    /// The event that closed it; `None` while it is open.
    pub closed_by: Option<Number>,
}

/// An operator's acknowledgement of a failed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acknowledgement {
    /// The operator.
    pub user: String,
    /// When.
    pub time: Timestamp,
    /// A note for other operators.
    pub reason: Option<String>,
}

/// A message of a cycle, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageOfCycle {
    /// Its number.
    pub number: Number,
    /// The sender.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// The run that it reports for.
    pub run: Option<RunId>,
}

/// The rules of a generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoricalRules {
    /// SHA-256 of their files, in hexadecimal.
    pub hash: String,
    /// The files, the main one first; none if they were not kept, or not any longer.
    pub files: Vec<RuleFile>,
}

/// Conditions of a query and what they compare with.
#[derive(Default)]
struct Conditions {
    text: Vec<&'static str>,
    values: Vec<SqlValue>,
}

impl Conditions {
    fn add(&mut self, text: &'static str, value: Option<impl Into<SqlValue>>) {
        if let Some(value) = value {
            self.text.push(text);
            self.values.push(value.into());
        }
    }

    fn statement(&self, select: &str, order: &str, limit: Option<u32>) -> String {
        let conditions =
            if self.text.is_empty() { String::new() } else { format!(" WHERE {}", self.text.join(" AND ")) };
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        format!("{select}{conditions} ORDER BY {order} DESC{limit}")
    }
}

pub(super) fn events(connection: &Connection, filter: &EventFilter) -> rusqlite::Result<Vec<Record>> {
    let (statement, values) = statement_of_events(connection, filter)?;
    connection.prepare(&statement)?.query_and_then(params_from_iter(values), row::record)?.collect()
}

fn statement_of_events(
    connection: &Connection,
    filter: &EventFilter,
) -> rusqlite::Result<(String, Vec<SqlValue>)> {
    let number =
        |moment: Option<Timestamp>| moment.map(|moment| order::first_since(connection, moment)).transpose();
    let mut conditions = Conditions::default();
    conditions.add("worker = ?", filter.worker.clone());
    conditions.add("type = ?", filter.r#type.clone());
    conditions.add("cycle = ?", filter.cycle.clone());
    conditions.add("kind = ?", filter.kind.map(|kind| kind.name().to_owned()));
    conditions.add("number >= ?", number(filter.since)?);
    conditions.add("number < ?", number(filter.until)?);
    conditions.add("number < ?", filter.before.map(|number| number.0.cast_signed()));
    conditions.add("number >= ?", filter.within.map(|(first, _)| first.0.cast_signed()));
    conditions.add("number <= ?", filter.within.map(|(_, last)| last.0.cast_signed()));
    let select = format!("SELECT {} FROM events", row::EVENT);
    Ok((conditions.statement(&select, "number", filter.limit), conditions.values))
}

/// The messages of a cycle among the events from one to another, without their payloads.
const MESSAGES_OF_CYCLE: &str = "SELECT number, worker, type, run FROM events WHERE number BETWEEN ?1 AND ?2 AND kind = 'message' AND cycle = ?3 AND worker IS NOT NULL ORDER BY number";

pub(super) fn messages_of_cycle(
    connection: &Connection,
    cycle: &str,
    (first, last): (Number, Number),
) -> rusqlite::Result<Vec<MessageOfCycle>> {
    connection
        .prepare_cached(MESSAGES_OF_CYCLE)?
        .query_map(params![first.0.cast_signed(), last.0.cast_signed(), cycle], |row| {
            Ok(MessageOfCycle {
                number: row::number(row, "number")?,
                worker: row.get("worker")?,
                r#type: row.get::<_, Option<String>>("type")?.unwrap_or_default(),
                run: row::optional_number(row, "run")?,
            })
        })?
        .collect()
}

/// The commands that rewound a cycle, among the events from one to another. One that was refused changed no notes.
const REWINDS: &str = "SELECT number, detail FROM events WHERE number BETWEEN ?1 AND ?2 AND notes IS NOT NULL
    AND CASE kind WHEN 'command' THEN detail ->> '$.command' = 'rewind' AND detail ->> '$.cycle' = ?3 END ORDER BY number";

pub(super) fn rewinds(
    connection: &Connection,
    cycle: &str,
    (first, last): (Number, Number),
) -> rusqlite::Result<Vec<(Number, Rewind)>> {
    let mut statement = connection.prepare_cached(REWINDS)?;
    let mut rows = statement.query(params![first.0.cast_signed(), last.0.cast_signed(), cycle])?;
    let mut rewinds = Vec::new();
    while let Some(row) = rows.next()? {
        if let Command::Rewind(rewind) = row::from_json(row.get_ref("detail")?.as_str()?)? {
            rewinds.push((row::number(row, "number")?, rewind));
        }
    }
    Ok(rewinds)
}

/// The joins that count from their opening on and that an event from one number to another opened, counted in or closed.
pub(super) fn joins_without_cycle(
    connection: &Connection,
    (first, last): (Number, Number),
) -> rusqlite::Result<Vec<Kept<Join>>> {
    connection
        .prepare(
            "SELECT closed_by, body FROM joins WHERE body ->> '$.identity' IS NULL
             AND (closed_by BETWEEN ?1 AND ?2 OR body ->> '$.opened_by' BETWEEN ?1 AND ?2
             OR EXISTS (SELECT * FROM json_each(body, '$.received') WHERE value BETWEEN ?1 AND ?2)) ORDER BY id",
        )?
        .query_and_then([first.0.cast_signed(), last.0.cast_signed()], kept_row)?
        .collect()
}

pub(super) fn rule_files(connection: &Connection, generation: u64) -> rusqlite::Result<Vec<RuleFile>> {
    connection
        .prepare_cached(
            "SELECT name, text FROM rule_files
             WHERE hash = (SELECT hash FROM rules WHERE generation = ?1) ORDER BY position",
        )?
        .query_map([generation.cast_signed()], |row| Ok(RuleFile { name: row.get(0)?, text: row.get(1)? }))?
        .collect()
}

/// The rules of a generation.
pub(super) fn historical_rules(
    connection: &Connection,
    generation: u64,
) -> rusqlite::Result<Option<HistoricalRules>> {
    let hash = connection
        .prepare_cached("SELECT hash FROM rules WHERE generation = ?1")?
        .query_row([generation.cast_signed()], |row| row.get(0))
        .optional()?;
    let Some(hash) = hash else { return Ok(None) };
    Ok(Some(HistoricalRules { hash, files: rule_files(connection, generation)? }))
}

pub(super) fn event(connection: &Connection, number: Number) -> rusqlite::Result<Option<Record>> {
    let select = format!("SELECT {} FROM events WHERE number = ?1", row::EVENT);
    connection.query_row(&select, [number.0.cast_signed()], row::record).optional()
}

/// The worker and the type of a message; `None` if it was removed.
pub(super) fn worker_and_type(
    connection: &Connection,
    message: Number,
) -> rusqlite::Result<Option<(String, String)>> {
    connection
        .prepare_cached("SELECT worker, type FROM events WHERE number = ?1 AND worker IS NOT NULL")?
        .query_row([message.0.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// The last event up to a number: the one in which whatever has that number was made.
pub(super) fn event_until(connection: &Connection, number: Number) -> rusqlite::Result<Option<Record>> {
    let select = format!("SELECT {} FROM events WHERE number <= ?1 ORDER BY number DESC LIMIT 1", row::EVENT);
    connection.query_row(&select, [number.0.cast_signed()], row::record).optional()
}

/// The first operator's command after an event.
pub(super) fn command_after(connection: &Connection, event: Number) -> rusqlite::Result<Option<Record>> {
    let select = format!(
        "SELECT {} FROM events WHERE number > ?1 AND kind = 'command' ORDER BY number LIMIT 1",
        row::EVENT
    );
    connection.query_row(&select, [event.0.cast_signed()], row::record).optional()
}

/// The joins that an event opened, counted in or closed.
pub(super) fn joins_of(connection: &Connection, event: Number) -> rusqlite::Result<Vec<Kept<Join>>> {
    connection
        .prepare(
            "SELECT closed_by, body FROM joins WHERE closed_by = ?1 OR body ->> '$.opened_by' = ?1
             OR ?1 IN (SELECT value FROM json_each(body, '$.received')) ORDER BY id",
        )?
        .query_and_then([event.0.cast_signed()], kept_row)?
        .collect()
}

/// The join that an event opened, unless that is one by cycle or since a moment: its number is the next one that a join has.
pub(super) fn join_opened_by(connection: &Connection, event: Number) -> rusqlite::Result<Option<Join>> {
    let next: Option<Join> = connection
        .prepare_cached("SELECT body FROM joins WHERE id > ?1 ORDER BY id LIMIT 1")?
        .query_row([event.0.cast_signed()], load::body)
        .optional()?;
    Ok(next.filter(|join| join.opened_by == event && join.identity.is_none()))
}

/// Launches that a rule returned and that have no run: they wait in a join, are parked, or were discarded from there.
pub(super) fn never_launched(connection: &Connection) -> rusqlite::Result<Vec<RequestedLaunch>> {
    const JOINS: &str =
        "SELECT joins.body FROM joins LEFT JOIN events ON number = closed_by WHERE closed_by IS NULL
        OR CASE kind WHEN 'command' THEN detail ->> '$.command' END IN ('discard', 'cancel_cycle')";
    const PARKED: &str = "SELECT parked.body FROM parked LEFT JOIN events ON number = closed_by
        WHERE parked.body ->> '$.item.launches' IS NOT NULL
        AND (closed_by IS NULL OR CASE kind WHEN 'command' THEN detail ->> '$.command' END = 'discard')";
    let mut launches = Vec::new();
    for join in connection.prepare(JOINS)?.query_and_then([], load::body::<Join>)? {
        launches.extend(join?.launches());
    }
    for parked in connection.prepare(PARKED)?.query_and_then([], load::body::<Parked>)? {
        if let ParkedItem::Launches { launches: waiting, .. } = parked?.item {
            launches.extend(waiting);
        }
    }
    Ok(launches)
}

/// The parked items that an event re-decided, released or discarded.
pub(super) fn parked_until(connection: &Connection, event: Number) -> rusqlite::Result<Vec<Parked>> {
    connection
        .prepare("SELECT body FROM parked WHERE closed_by = ?1 ORDER BY id")?
        .query_and_then([event.0.cast_signed()], load::body)?
        .collect()
}

/// The runs from `first` on that operators have acknowledged.
pub(super) fn acknowledged_since(
    connection: &Connection,
    first: RunId,
) -> rusqlite::Result<BTreeMap<RunId, Acknowledgement>> {
    connection
        .prepare_cached(
            "SELECT id, at, user, detail ->> '$.reason' AS reason FROM runs JOIN events ON number = acknowledged_by
             WHERE acknowledged_by IS NOT NULL AND id >= ?1",
        )?
        .query_and_then([first.0.cast_signed()], |row| {
            let time = row::moment(&row.get::<_, String>("at")?)?.timestamp();
            let acknowledgement = Acknowledgement { user: row.get("user")?, time, reason: row.get("reason")? };
            Ok((row::number(row, "id")?, acknowledgement))
        })?
        .collect()
}

pub(super) fn last_event(connection: &Connection) -> rusqlite::Result<Option<Record>> {
    event(connection, Number(load::last_event(connection)?))
}

pub(super) fn runs(connection: &Connection, filter: &RunFilter) -> rusqlite::Result<Vec<Run>> {
    let (statement, values) = statement_of_runs(connection, filter)?;
    connection.prepare(&statement)?.query_and_then(params_from_iter(values), load::body)?.collect()
}

/// The runs of an event have the numbers up to the next event.
const BEFORE_THE_EVENT_AFTER: &str = "id < COALESCE((SELECT number FROM events WHERE number > ? ORDER BY number LIMIT 1), 9223372036854775807)";

fn statement_of_runs(
    connection: &Connection,
    filter: &RunFilter,
) -> rusqlite::Result<(String, Vec<SqlValue>)> {
    let since = filter.since.map(|moment| first_run_since(connection, moment)).transpose()?;
    let mut conditions = Conditions::default();
    conditions.add("worker = ?", filter.worker.clone());
    conditions.add("cycle = ?", filter.cycle.clone());
    conditions.add("id >= ?", since);
    conditions.add("id < ?", filter.before.map(|number| number.0.cast_signed()));
    conditions.add("id >= ?", filter.within.map(|(first, _)| first.0.cast_signed()));
    conditions.add(BEFORE_THE_EVENT_AFTER, filter.within.map(|(_, last)| last.0.cast_signed()));
    match filter.state {
        RunState::Any => {}
        RunState::Open => conditions.text.push("is_open = 1"),
        RunState::Failed => conditions.text.push("succeeded = 0"),
    }
    Ok((conditions.statement("SELECT body FROM runs", "id", filter.limit), conditions.values))
}

/// The first number of the runs that were requested since a moment. Runs of the last event have higher numbers than it.
pub(super) fn first_run_since(connection: &Connection, moment: Timestamp) -> rusqlite::Result<i64> {
    let first = order::first_since(connection, moment)?;
    let is_past_all = first > load::last_event(connection)?.cast_signed();
    Ok(if is_past_all { i64::MAX } else { first })
}

pub(super) fn run(connection: &Connection, id: Number) -> rusqlite::Result<Option<Run>> {
    connection.query_row("SELECT body FROM runs WHERE id = ?1", [id.0.cast_signed()], load::body).optional()
}

/// The scheduled time of the last launch of an entry of the schedule, and when that was launched. The runs of the worker lead to
/// it, since an index of the commands would cost each commit a page.
pub(super) fn last_scheduled(
    connection: &Connection,
    item: &str,
    worker: &str,
) -> rusqlite::Result<Option<(Timestamp, Steady)>> {
    let last = "SELECT number, at, detail ->> '$.due' AS due FROM runs JOIN events ON number = cause
        WHERE runs.worker = ?1 AND CASE kind WHEN 'command' THEN detail ->> '$.command' = 'launch_scheduled' AND detail ->> '$.item' = ?2 END
        ORDER BY id DESC LIMIT 1";
    let launch = |row: &Row<'_>| {
        let at = row::moment(&row.get::<_, String>("at")?)?.timestamp();
        Ok((row::number(row, "number")?, at, row::time(row, "due")?))
    };
    let found = connection.query_row(last, [worker, item], launch).optional()?;
    found.map(|(number, at, due)| Ok((due, order::steady(connection, number, at)?))).transpose()
}

pub(super) fn runs_caused_by(connection: &Connection, event: Number) -> rusqlite::Result<Vec<Run>> {
    connection
        .prepare_cached("SELECT body FROM runs WHERE cause = ?1 ORDER BY id")?
        .query_and_then([event.0.cast_signed()], load::body)?
        .collect()
}

/// The numbers of the runs that an event caused.
pub(super) fn launched_by(connection: &Connection, event: Number) -> rusqlite::Result<Vec<Number>> {
    connection
        .prepare_cached("SELECT id FROM runs WHERE cause = ?1 ORDER BY id")?
        .query_map([event.0.cast_signed()], |row| row::number(row, "id"))?
        .collect()
}

/// The body of a row of `joins`, `parked` or `holds`, by its number.
pub(super) fn kept<T: DeserializeOwned>(
    connection: &Connection,
    table: &'static str,
    id: Number,
) -> rusqlite::Result<Option<Kept<T>>> {
    connection
        .query_row(
            &format!("SELECT closed_by, body FROM {table} WHERE id = ?1"),
            [id.0.cast_signed()],
            kept_row,
        )
        .optional()
}

fn kept_row<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<Kept<T>> {
    Ok(Kept { item: load::body(row)?, closed_by: row::optional_number(row, "closed_by")? })
}

pub(super) fn last_success(connection: &Connection, worker: &str) -> rusqlite::Result<Option<Run>> {
    connection
        .query_row(
            "SELECT body FROM runs WHERE worker = ?1 AND succeeded = 1 ORDER BY id DESC LIMIT 1",
            [worker],
            load::body,
        )
        .optional()
}

/// Return the durations of a worker's last runs that ended by themselves and are alike, the latest first.
pub(super) fn durations(
    connection: &Connection,
    worker: &str,
    is_like: impl Fn(&NextWorker) -> bool,
    most: usize,
) -> rusqlite::Result<Vec<SignedDuration>> {
    let mut statement =
        connection.prepare_cached("SELECT body FROM runs WHERE worker = ?1 ORDER BY id DESC LIMIT ?2")?;
    // Other arguments are passed over, but not without end.
    let limit = i64::try_from(most.saturating_mul(2)).unwrap_or(i64::MAX);
    let mut runs = statement.query_and_then(params![worker, limit], load::body::<Run>)?;
    let mut durations = Vec::new();
    while let Some(run) = runs.next().transpose()?.filter(|_| durations.len() < most) {
        if let Stage::Ended { launched: Some(_), at, ending: Ending::Status(_) | Ending::OnHost(_), .. } =
            &run.stage
            && run.stop_requested.is_none()
            && is_like(&run.worker)
        {
            durations.extend(run.duration(at.steady));
        }
    }
    Ok(durations)
}

/// How many of the last runs tell what is usual.
const RUNS_FOR_USUAL: usize = 20;

pub(super) fn usual_duration(
    connection: &Connection,
    worker: &str,
    args: &[String],
) -> rusqlite::Result<Option<SignedDuration>> {
    let mut statement = connection.prepare_cached(
        "SELECT body FROM runs WHERE worker = ?1 AND args = ?2 AND succeeded = 1 ORDER BY id DESC",
    )?;
    let mut runs = statement.query_and_then(params![worker, row::json(&args)?], load::body::<Run>)?;
    let mut durations = Vec::new();
    while let Some(run) = runs.next().transpose()?.filter(|_| durations.len() < RUNS_FOR_USUAL) {
        // One that was killed tells nothing, though a worker in Python ends with status 0 then.
        if let Stage::Ended { launched: Some(_), at, .. } = &run.stage
            && run.stop_requested.is_none()
        {
            durations.extend(run.duration(at.steady));
        }
    }
    durations.sort_unstable();
    Ok(durations.get(durations.len() / 2).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Journal;
    use crate::store::journal::filter::EventKind;

    /// Return how SQLite finds the rows of a statement.
    fn plan(connection: &Connection, statement: &str, values: Vec<SqlValue>) -> Vec<String> {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let details = explained.query_map(params_from_iter(values), |row| row.get("detail")).unwrap();
        details.map(Result::unwrap).collect()
    }

    #[test]
    fn lists_of_a_kept_cycle_search_its_events_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let connection = &journal.connection;
        let (cycle, within) = (Some("a".to_owned()), Some((Number(5), Number(9))));
        let filter = RunFilter { cycle: cycle.clone(), within, limit: Some(20), ..RunFilter::default() };
        let (statement, values) = statement_of_runs(connection, &filter).unwrap();
        let runs = plan(connection, &statement, values);
        let kind = Some(EventKind::Message);
        let filter = EventFilter { cycle, within, kind, limit: Some(20), ..EventFilter::default() };
        let (statement, values) = statement_of_events(connection, &filter).unwrap();
        let events = plan(connection, &statement, values);
        let of_cycle =
            |statement| plan(connection, statement, [5.into(), 9.into(), "a".to_owned().into()].into());
        let (senders, rewinds) = (of_cycle(MESSAGES_OF_CYCLE), of_cycle(REWINDS));
        for (found, table) in [(runs, "runs"), (events, "events"), (senders, "events"), (rewinds, "events")] {
            let search = format!("SEARCH {table} USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
            assert!(found.contains(&search), "{found:?}");
            assert!(!found.iter().any(|step| step.starts_with("SCAN")), "{found:?}");
        }
    }
}
