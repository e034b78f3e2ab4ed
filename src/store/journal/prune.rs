//! Removing what is too old, in small steps, so that the checklist and the notes of every event that stays can still be told.
//!
//! Nothing is removed that something open came from.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, ToSql, TransactionBehavior, params};

use super::{configurations, fold, load, message_index, order, row};
use crate::config::JournalSettings;
use nowcast_core::parked::ParkedItem;
use nowcast_core::{Change, Cycle, Join, Number, RunId, Steady};

/// Events or runs that one step removes: some milliseconds.
const STEP: usize = 500;

/// Generations of rules whose files are kept however old they are.
const KEPT_GENERATIONS: i64 = 10;

/// The bytes of the values of events. Numbers and short texts are not counted.
pub(super) const EVENT_BYTES: &str = "coalesce(sum(coalesce(length(body), 0) + coalesce(length(checklist), 0) + coalesce(length(notes), 0) \
    + coalesce(length(detail), 0) + coalesce(length(reply_payload), 0) + coalesce(length(keys_read), 0)), 0)";

const DAY: i64 = 24 * 60 * 60;

/// The midnight before a point of steady time. Removing goes by whole days, since each time costs a snapshot.
pub(super) fn midnight(time: Steady) -> Steady {
    let second = time.0.as_second().div_euclid(DAY) * DAY;
    Steady(Timestamp::from_second(second).unwrap_or(Timestamp::MIN))
}

/// The points of steady time before which something is removed; `None` where everything is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgeLimits {
    /// Entries of the journal.
    pub entries: Option<Steady>,
    /// Outputs of runs. They go with their entries at the latest.
    pub outputs: Option<Steady>,
}

impl AgeLimits {
    /// Return those of settings at a moment.
    #[must_use]
    pub fn at(now: Steady, settings: &JournalSettings) -> Self {
        let before = |age: Option<SignedDuration>| age.and_then(|age| now.checked_after(-age));
        let entries = before(settings.keep);
        Self { entries, outputs: entries.max(before(settings.keep_outputs)) }
    }
}

/// What a step removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// The numbers of the events.
    pub(super) events: BTreeSet<i64>,
    /// How many runs.
    pub(super) runs: usize,
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
    Ok(Removed { events: gone.events.into_iter().collect(), runs: gone.runs.len(), has_more })
}

/// Entries that are too old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OldEntries {
    /// How many events.
    pub events: u64,
    /// How many runs.
    pub runs: u64,
    /// Bytes of their values.
    pub bytes: u64,
}

/// What [`step`] would remove in all.
pub(super) fn old_entries(connection: &Connection, before: Steady) -> rusqlite::Result<OldEntries> {
    let first = order::first_not_older(connection, before)?.min(load::last_event(connection)?.cast_signed());
    let sums = |statement: String| {
        let sum = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        connection.query_row(&statement, [first], |row| Ok((sum(row, 0)?, sum(row, 1)?)))
    };
    let (events, event_bytes) =
        sums(format!("SELECT count(*), {EVENT_BYTES} FROM events WHERE number < ?1"))?;
    let (runs, run_bytes) = sums(
        "SELECT count(*), coalesce(sum(length(body) + length(args)), 0) FROM runs WHERE id < ?1 AND changed_by < ?1 AND is_open = 0"
            .to_owned(),
    )?;
    let kept = needed(&load::open(connection)?).range(..first).count() as u64;
    Ok(OldEntries { events: events.saturating_sub(kept), runs, bytes: event_bytes + run_bytes })
}

/// The runs whose outputs are too old.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldOutputs {
    /// Those of runs with lower numbers are.
    pub before: Number,
    /// But not those of these runs, which ended not long ago, or which something open needs.
    pub kept: BTreeSet<RunId>,
}

impl OldOutputs {
    /// Return whether the output of a run is too old.
    #[must_use]
    pub fn contains(&self, run: RunId) -> bool {
        run < self.before && !self.kept.contains(&run)
    }
}

/// The runs that ended before a day, but for those that something open came from, and those of cycles in which something is open.
pub(super) fn old_outputs(connection: &Connection, before: Steady) -> rusqlite::Result<OldOutputs> {
    let first = order::first_not_older(connection, before)?.min(load::last_event(connection)?.cast_signed());
    let open = load::open(connection)?;
    let numbers = |statement: &str, value: &dyn ToSql| -> rusqlite::Result<Vec<RunId>> {
        let mut found = connection.prepare_cached(statement)?;
        found.query_map(params![first, value], |row| row::number(row, 0))?.collect()
    };
    let not_old = "SELECT id FROM runs WHERE id < ?1 AND (is_open = 1 OR changed_by >= ?1) AND ?2";
    let mut kept: BTreeSet<RunId> = numbers(not_old, &true)?.into_iter().collect();
    kept.extend(open.iter().flat_map(earlier_attempts));
    for event in needed(&open) {
        kept.extend(numbers("SELECT run FROM events WHERE run < ?1 AND number = ?2", &event)?);
    }
    for cycle in open_cycles(&open) {
        kept.extend(numbers("SELECT id FROM runs WHERE id < ?1 AND cycle = ?2", &cycle.as_str())?);
    }
    Ok(OldOutputs { before: Number(first.cast_unsigned()), kept })
}

/// The runs that an open run retries or repeats.
fn earlier_attempts(open: &Change) -> impl Iterator<Item = RunId> {
    let runs = match open {
        Change::Run(run) => [run.retry_of, run.origin],
        _ => [None, None],
    };
    runs.into_iter().flatten()
}

/// The cycles in which something is open.
fn open_cycles(open: &[Change]) -> BTreeSet<&Cycle> {
    let mut cycles = BTreeSet::new();
    for change in open {
        match change {
            Change::Run(run) => cycles.extend(&run.cycle),
            Change::Join(join) if !has_ended(join) => cycles.extend(&join.cycle),
            Change::Parked(parked) => cycles.extend(parked.cycles()),
            _ => {}
        }
    }
    cycles
}

/// Whether a join has ended and is only known.
fn has_ended(join: &Join) -> bool {
    join.identity.as_ref().is_some_and(|identity| identity.end.is_some())
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
            Change::Join(join) if has_ended(join) => {}
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
