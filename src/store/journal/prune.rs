//! Removing what is too old, in small steps, so that the checklist and the notes of every event that stays can still be told.
//!
//! Nothing is removed that something open came from.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{configurations, fold, load, message_index, order, row};
use nowcast_core::parked::ParkedItem;
use nowcast_core::{Change, Number, RunId, Steady};

/// Events or runs that one step removes: some milliseconds.
const STEP: usize = 500;

/// Generations of rules whose files are kept however old they are.
const KEPT_GENERATIONS: i64 = 10;

const DAY: i64 = 24 * 60 * 60;

/// The midnight before a point of steady time. Removing goes by whole days, since each time costs a snapshot.
pub(super) fn midnight(time: Steady) -> Steady {
    let second = time.0.as_second().div_euclid(DAY) * DAY;
    Steady(Timestamp::from_second(second).unwrap_or(Timestamp::MIN))
}

/// The numbers of entries that a step removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// The numbers of the events.
    pub(super) events: BTreeSet<i64>,
    /// Whether there is more to remove.
    pub(super) has_more: bool,
}

/// Remove a part of what is too old.
pub(super) fn step(connection: &mut Connection, before: Steady) -> rusqlite::Result<Removed> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // The last event stays: the numbers go on from it.
    let first = order::first_not_older(&step, before)?.min(load::last_event(&step)?.cast_signed());
    if first <= 1 {
        return Ok(Removed::default());
    }
    let kept = needed(&load::open(&step)?);
    let gone = old(&step, first, &kept)?;
    if gone.events.is_empty() && gone.runs.is_empty() {
        return Ok(Removed::default());
    }
    stand_on_snapshot(&step, first - 1)?;
    gone.events.iter().try_for_each(|event| message_index::remove(&step, *event))?;
    for (statement, numbers) in [
        ("DELETE FROM events WHERE number = ?1", &gone.events),
        ("DELETE FROM runs WHERE id = ?1", &gone.runs),
    ] {
        let mut remove = step.prepare_cached(statement)?;
        numbers.iter().try_for_each(|number| remove.execute([number]).map(|_| ()))?;
    }
    step.execute("DELETE FROM joins WHERE closed_by < ?1 AND is_known = 0", [first])?;
    for table in ["parked", "holds"] {
        step.execute(&format!("DELETE FROM {table} WHERE closed_by < ?1"), [first])?;
    }
    // The last reading before what stays is that of the first event in it.
    step.execute(
        "DELETE FROM clock_readings WHERE event < (SELECT max(event) FROM clock_readings WHERE event <= ?1)",
        [first],
    )?;
    configurations::remove_before(&step, first)?;
    remove_rule_files(&step)?;
    let has_more = gone.events.len() == STEP || gone.runs.len() == STEP;
    step.commit()?;
    Ok(Removed { events: gone.events.into_iter().collect(), has_more })
}

/// The runs that are no longer in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunsRemoved {
    /// Those with lower numbers were removed.
    pub before: Number,
    /// Runs among them that stay: they ended not long ago, or are open.
    pub kept: BTreeSet<RunId>,
}

impl RunsRemoved {
    /// Return whether a run was removed.
    #[must_use]
    pub fn contains(&self, run: RunId) -> bool {
        run < self.before && !self.kept.contains(&run)
    }
}

/// The runs that were removed when everything before a day was.
pub(super) fn runs_removed(connection: &Connection, before: Steady) -> rusqlite::Result<RunsRemoved> {
    let first = order::first_not_older(connection, before)?.min(load::last_event(connection)?.cast_signed());
    let kept = connection
        .prepare_cached("SELECT id FROM runs WHERE id < ?1")?
        .query_map([first], |row| row::number(row, "id"))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(RunsRemoved { before: Number(first.cast_unsigned()), kept })
}

/// Removes the files of rules that no kept message was decided by, but not those of the last few generations: they may
/// be wanted back.
fn remove_rule_files(connection: &Connection) -> rusqlite::Result<()> {
    let first = "SELECT generation FROM events WHERE generation > 0 ORDER BY number LIMIT 1";
    let Some(first) = connection.query_row(first, [], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(());
    };
    connection.execute(
        "DELETE FROM rule_files WHERE hash NOT IN (
             SELECT hash FROM rules WHERE generation >= ?1
                 OR generation > (SELECT max(generation) FROM rules) - ?2)",
        [first, KEPT_GENERATIONS],
    )?;
    Ok(())
}

/// Events that what is open came from.
fn needed(open: &[Change]) -> BTreeSet<i64> {
    let mut needed = Vec::new();
    for change in open {
        match change {
            Change::Run(run) => {
                needed.push(run.cause);
                needed.extend(run.report.as_ref().map(|report| report.message));
            }
            // One that has ended is known, but not shown with its messages.
            Change::Join(join) if join.identity.as_ref().is_some_and(|identity| identity.end.is_some()) => {}
            Change::Join(join) => {
                needed.push(join.opened_by);
                needed.extend(&join.received);
                needed.extend(join.pending.iter().map(|launch| launch.cause));
            }
            Change::Parked(parked) => {
                needed.push(parked.id);
                if let ParkedItem::Launches { launches, .. } = &parked.item {
                    needed.extend(launches.iter().map(|launch| launch.cause));
                }
            }
            _ => {}
        }
    }
    needed.into_iter().map(|number| number.0.cast_signed()).collect()
}

struct Old {
    events: Vec<i64>,
    runs: Vec<i64>,
}

/// Some of what is older than an event and not needed.
fn old(connection: &Connection, first: i64, kept: &BTreeSet<i64>) -> rusqlite::Result<Old> {
    let limit = i64::try_from(STEP + kept.len()).unwrap_or(i64::MAX);
    let numbers = |statement: &str| -> rusqlite::Result<Vec<i64>> {
        connection.prepare_cached(statement)?.query_map(params![first, limit], |row| row.get(0))?.collect()
    };
    let mut events = numbers("SELECT number FROM events WHERE number < ?1 ORDER BY number LIMIT ?2")?;
    events.retain(|number| !kept.contains(number));
    events.truncate(STEP);
    // A run's number is above that of its cause, and below that of what changed it last.
    let mut runs = numbers(
        "SELECT id FROM runs WHERE id < ?1 AND changed_by < ?1 AND is_open = 0 ORDER BY id LIMIT ?2",
    )?;
    runs.truncate(STEP);
    Ok(Old { events, runs })
}

/// Makes the snapshot that the events which stay begin with.
fn stand_on_snapshot(connection: &Connection, event: i64) -> rusqlite::Result<()> {
    let is_there = "SELECT 1 FROM snapshots WHERE event = ?1";
    if connection.query_row(is_there, [event], |_| Ok(())).optional()?.is_none() {
        let Some(folded) = fold::after(connection, Number(event.cast_unsigned()))? else { return Ok(()) };
        let (checklist, cycles) = (folded.checklist.to_value(), folded.cycles.as_ref());
        fold::put_snapshot(connection, event.cast_unsigned(), folded.changed_by, &checklist, cycles)?;
    }
    connection.execute("DELETE FROM snapshots WHERE event < ?1", [event])?;
    Ok(())
}
