//! Maintenance between batches: checkpoints of the log, snapshots of the checklist and the notes, and pruning.
//!
//! Correctness does not depend on it; without it the log grows and a start takes longer.

use rusqlite::Connection;

use super::commit::Growth;
use super::prune::{self, Removed};
use super::{Journal, JournalError, OldOutputs, Recovered, fold, info};
use nowcast_core::{Cycles, Steady};
use pyyaml::Value;

/// Pages of log that an idle manager puts into the database: 1 MB, few enough to take a few milliseconds.
const IDLE_LOG: i64 = 256;

/// Pages of log at which a manager does it though it is busy: 4 MB, as many as SQLite itself takes.
const BUSY_LOG: i64 = 1024;

/// Commits after which a busy manager looks how long the log is.
const LOOK: u32 = 64;

/// Events that changed the checklist or the notes after which a snapshot is worth it, if they have as many bytes as the last snapshot.
const CHANGES: u64 = 1_000;

/// Such events after which there is one however large it is: a start makes their changes again at about 20 µs each.
const MANY_CHANGES: u64 = 10_000;

/// Events after which there is one: a start looks at each.
const MANY_EVENTS: u64 = 50_000;

/// The entries after the last snapshot.
#[derive(Debug)]
pub(super) struct SinceSnapshot {
    events: u64,
    changes: u64,
    bytes: u64,
    /// Bytes of the last snapshot.
    snapshot: u64,
    /// The last event that changed the checklist.
    pub(super) checklist_event: u64,
}

impl SinceSnapshot {
    pub(super) fn measure(connection: &Connection) -> rusqlite::Result<Self> {
        let snapshot = "SELECT event, changed_by, length(checklist) + coalesce(length(notes), 0) FROM snapshots ORDER BY event DESC LIMIT 1";
        let (event, changed_by, size) = connection.query_row(snapshot, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?.cast_unsigned()))
        })?;
        // `length` does not read what it measures.
        let after = "SELECT count(*), count(*) FILTER (WHERE checklist IS NOT NULL OR notes IS NOT NULL), \
            coalesce(sum(coalesce(length(checklist), 0) + coalesce(length(notes), 0) + coalesce(length(body), 0)) \
                FILTER (WHERE checklist IS NOT NULL OR notes IS NOT NULL), 0), \
            max(CASE WHEN checklist IS NOT NULL THEN number END) FROM events WHERE number > ?1";
        connection.query_row(after, [event], |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            let last: Option<i64> = row.get(3)?;
            Ok(Self {
                events: count(0)?,
                changes: count(1)?,
                bytes: count(2)?,
                snapshot: size,
                checklist_event: last.unwrap_or(changed_by).cast_unsigned(),
            })
        })
    }

    pub(super) fn grow(&mut self, grown: &Growth) {
        self.events += grown.events;
        self.changes += grown.changes;
        self.bytes += grown.bytes;
        self.checklist_event = grown.checklist_event.unwrap_or(self.checklist_event);
    }

    fn wants_snapshot(&self) -> bool {
        let is_worth_it = self.changes >= CHANGES && self.bytes >= self.snapshot;
        is_worth_it || self.changes >= MANY_CHANGES || self.events >= MANY_EVENTS
    }

    /// Whether a start would take too long.
    fn is_too_long(&self) -> bool {
        self.changes >= 2 * MANY_CHANGES || self.events >= 2 * MANY_EVENTS
    }
}

/// What pruning removed from the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemovedEntries {
    /// How many events.
    pub events: usize,
    /// How many runs.
    pub runs: usize,
    /// Bytes of the database that hold nothing since. Later entries use them.
    pub bytes: u64,
}

impl Journal {
    /// Whether [`Journal::tidy`] is to be called though the manager is busy.
    #[must_use]
    pub fn is_untidy(&self) -> bool {
        self.tail.is_too_long() || (self.commits.is_multiple_of(LOOK) && self.log_length() >= BUSY_LOG)
    }

    /// Does a step of the housekeeping; to be called when there is nothing else to do, or when
    /// [`Journal::is_untidy`] says so. Return whether there is more to do.
    ///
    /// `checklist` and `cycles` are those after everything that was committed. Events before `prune_before` are removed, by whole days,
    /// but for those that something open came from.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or written; nothing is lost by it.
    pub fn tidy(
        &mut self,
        checklist: &Value,
        cycles: &Cycles,
        prune_before: Option<Steady>,
    ) -> Result<bool, JournalError> {
        if self.tail.wants_snapshot() {
            self.snapshot(checklist, cycles).map_err(|error| self.wrap("keep a snapshot", error))?;
            return Ok(true);
        }
        let before = prune_before.map(prune::midnight).filter(|before| self.pruned != Some(*before));
        let removed = match before {
            Some(before) => self
                .prune_step(before)
                .map_err(|error| self.wrap("remove what is older than `journal: keep:`", error))?,
            None => Removed::default(),
        };
        let has_more = removed.has_more;
        if !has_more {
            self.pruned = before.or(self.pruned);
        }
        if self.log_length() >= IDLE_LOG {
            self.checkpoint("passive").map_err(|error| self.wrap("put the log into the database", error))?;
        }
        Ok(has_more)
    }

    fn prune_step(&mut self, before: Steady) -> rusqlite::Result<Removed> {
        let free_before = info::free_bytes(&self.connection)?;
        let removed = prune::step(&mut self.connection, before)?;
        self.index.forget(&removed.events);
        self.removed.events += removed.events.len();
        self.removed.runs += removed.runs;
        self.removed.bytes += info::free_bytes(&self.connection)?.saturating_sub(free_before);
        Ok(removed)
    }

    /// Return what was removed since the last call.
    pub fn take_removed(&mut self) -> RemovedEntries {
        std::mem::take(&mut self.removed)
    }

    /// Release the memory of pages that are cached, as far as that is possible.
    pub fn release_memory(&self) {
        // If it fails, the pages stay in memory.
        let _ = self.connection.release_memory();
    }

    /// Remove everything before a point of steady time, by whole days, except what something open came from.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or written; nothing is lost by it.
    pub fn prune(&mut self, before: Steady) -> Result<RemovedEntries, JournalError> {
        let Recovered { checklist, cycles, .. } = self.load()?;
        let checklist = Value::from(checklist);
        while self.tidy(&checklist, &cycles, Some(before))? {}
        Ok(self.take_removed())
    }

    /// Rebuild the database without its free pages. It needs room for two more copies meanwhile. The file is shrunk by
    /// [`Journal::shrink`].
    ///
    /// # Errors
    ///
    /// If there is no room, or the database cannot be read or written; then it is as it was.
    pub fn compact(&mut self) -> Result<(), JournalError> {
        self.connection.execute_batch("VACUUM").map_err(|error| self.wrap("compact the journal", error))
    }

    /// Shrink the files of a database that was rebuilt. Return false if another program prevents that, which reads an earlier state.
    ///
    /// # Errors
    ///
    /// If the database cannot be written; nothing is lost by it.
    pub fn shrink(&mut self) -> Result<bool, JournalError> {
        let is_busy = |row: &rusqlite::Row<'_>| row.get::<_, bool>(0);
        let is_busy = self.connection.query_row("PRAGMA wal_checkpoint(truncate)", [], is_busy);
        is_busy.map(|is_busy| !is_busy).map_err(|error| self.wrap("put the log into the database", error))
    }

    /// Return the runs whose outputs are older than a point of steady time, by whole days, and not needed by anything open. The journal
    /// may not have the oldest of them any more.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn old_outputs(&self, before: Steady) -> Result<OldOutputs, JournalError> {
        prune::old_outputs(&self.connection, prune::midnight(before))
            .map_err(|error| self.wrap("find the old runs", error))
    }

    fn snapshot(&mut self, checklist: &Value, cycles: &Cycles) -> rusqlite::Result<()> {
        let checklist_event = self.tail.checklist_event;
        let (connection, event) = (&self.connection, self.last_event);
        let snapshot = fold::put_snapshot(connection, event, checklist_event, checklist, Some(cycles))?;
        self.tail = SinceSnapshot { events: 0, changes: 0, bytes: 0, snapshot, checklist_event };
        Ok(())
    }

    /// Frames of the log that are not in the database yet; a frame is a page of 4096 bytes.
    fn log_length(&self) -> i64 {
        // If it cannot be read, the next commit reports the reason.
        self.checkpoint("noop").unwrap_or(0)
    }

    /// Checkpoint the log as far as readers allow; once it is complete, the log starts at its beginning. Return the number of
    /// frames that are left.
    pub(super) fn checkpoint(&self, mode: &str) -> rusqlite::Result<i64> {
        self.connection
            .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
            .query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
    }
}
