//! [`History`]: the journal for readers, with or without a running manager. It never writes and never blocks the manager.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use rusqlite::{Connection, OptionalExtension};

use super::filter::{EventFilter, RunFilter};
use super::find::{self, Acknowledgement, Kept, MessageOfCycle};
use super::{DATABASE, Journal, JournalError, clock, fold, load, order, row, schema};
use nowcast_core::Join;
use nowcast_core::checklist::Checklist;
use nowcast_core::expected::Expected;
use nowcast_core::hold::Hold;
use nowcast_core::parked::Parked;
use nowcast_core::{
    Change, Clock, ClockReading, Cycle, Cycles, LaunchedTimes, NextWorker, Number, Policy, Record, Rewind,
    RuleFile, Run, State, Steady,
};
use pyyaml::Map;

/// The journal, open for reading.
#[derive(Debug)]
pub struct History {
    pub(super) connection: Connection,
    pub(super) file: PathBuf,
}

/// The items with one number. A parked message has the number of its event, parked launches have that of their join.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbered {
    /// The event.
    pub event: Option<Record>,
    /// The run.
    pub run: Option<Run>,
    /// The join.
    pub join: Option<Kept<Join>>,
    /// The parked item.
    pub parked: Option<Kept<Parked>>,
    /// The hold.
    pub hold: Option<Kept<Hold>>,
}

impl Numbered {
    /// Return whether nothing has that number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// All open items at one moment, each kind in the order of its numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenItems {
    /// The open runs.
    pub runs: Vec<Run>,
    /// The open joins.
    pub joins: Vec<Join>,
    /// The joins by cycle and since a moment that have ended and are still known.
    pub ended_joins: Vec<Join>,
    /// Parked messages and launches.
    pub parked: Vec<Parked>,
    /// The holds.
    pub holds: Vec<Hold>,
    /// The times for which each entry of the schedule was launched.
    pub scheduled: BTreeMap<String, LaunchedTimes>,
    /// The expected messages.
    pub expected: Vec<Expected>,
    /// The rules; `None` if none were loaded or refused yet.
    pub rules: Option<RulesInForce>,
    /// The last event.
    pub last_event: Option<Record>,
    /// The origin of steady time.
    pub clock: Clock,
}

impl OpenItems {
    /// Return the state of a manager that would start now with these, this policy, this checklist and these cycles.
    #[must_use]
    pub fn state(&self, policy: Arc<Policy>, checklist: Map, cycles: Cycles) -> State {
        let numbers = [
            self.last_event.as_ref().map(|event| event.number),
            self.runs.last().map(|run| run.id),
            self.joins.last().map(|join| join.id),
            self.ended_joins.last().map(|join| join.id),
            self.parked.last().map(|parked| parked.id),
            self.holds.last().map(|hold| hold.id),
        ];
        let last_number = numbers.into_iter().flatten().max().unwrap_or_default().0;
        let last_event = self.last_event.as_ref().map(|event| event.at.timestamp());
        State::recovered(policy, checklist, cycles, self.changes(), last_number, last_event)
    }

    /// Return them as changes that produce them.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        let runs = self.runs.iter().cloned().map(|run| Change::Run(Arc::new(run)));
        let joins = self.joins.iter().cloned().map(Change::Join);
        let ended_joins = self
            .ended_joins
            .iter()
            .flat_map(|join| [Change::Join(join.clone()), Change::JoinClosed(join.id)]);
        let parked = self.parked.iter().cloned().map(Change::Parked);
        let holds = self.holds.iter().cloned().map(Change::Hold);
        let rules =
            self.rules.iter().map(|rules| Change::Rules(rules.generation, rules.hash.clone(), Vec::new()));
        let scheduled = self.scheduled.iter().flat_map(|(item, times)| {
            times.iter().map(|due| Change::Scheduled { item: item.clone(), due, expired: Vec::new() })
        });
        let clock = self.clock.reading.iter().cloned().map(Change::Clock);
        let expected = self.expected.iter().cloned().map(Change::Expected);
        runs.chain(joins)
            .chain(ended_joins)
            .chain(parked)
            .chain(holds)
            .chain(scheduled)
            .chain(expected)
            .chain(rules)
            .chain(clock)
    }
}

/// The rules in force, as the journal has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesInForce {
    /// The rules generation; 0 if there were never any rules.
    pub generation: u64,
    /// SHA-256 of their files, in hexadecimal; empty without rules.
    pub hash: String,
    /// The event that they came into force by.
    pub loaded_by: Number,
    /// When that was; `None` without rules, or if the event was pruned.
    pub loaded_at: Option<ZonedDateTime>,
    /// The last rules that were refused since: the event, and why.
    pub refused: Option<(Number, String)>,
}

type JournalResult<T> = Result<T, JournalError>;

impl History {
    /// Opens the journal in a folder for reading.
    ///
    /// # Errors
    ///
    /// If there is none, it cannot be read, is damaged, or is of another version of the program.
    pub fn open(folder: &Path) -> JournalResult<Self> {
        let file = folder.join(DATABASE);
        Ok(Self { connection: schema::open_to_read(&file)?, file })
    }

    /// An event. Of its changes there are those of the checklist and of the notes.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged; so it is for all that follow.
    pub fn event(&self, number: Number) -> JournalResult<Option<Record>> {
        self.ask(|connection| find::event(connection, number))
    }

    /// Events, newest first.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn events(&self, filter: &EventFilter) -> JournalResult<Vec<Record>> {
        self.ask(|connection| find::events(connection, filter))
    }

    /// A run.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn run(&self, id: Number) -> JournalResult<Option<Run>> {
        self.ask(|connection| find::run(connection, id))
    }

    /// Return the selected runs, newest first.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn runs(&self, filter: &RunFilter) -> JournalResult<Vec<Run>> {
        self.ask(|connection| find::runs(connection, filter))
    }

    /// Return the messages of a cycle among the events from one to another, oldest first.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn messages_of_cycle(
        &self,
        cycle: &Cycle,
        within: (Number, Number),
    ) -> JournalResult<Vec<MessageOfCycle>> {
        self.ask(|connection| find::messages_of_cycle(connection, cycle.as_str(), within))
    }

    /// Return the commands that rewound a cycle, among the events from one to another, oldest first.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn rewinds(&self, cycle: &Cycle, within: (Number, Number)) -> JournalResult<Vec<(Number, Rewind)>> {
        self.ask(|connection| find::rewinds(connection, cycle.as_str(), within))
    }

    /// Return the joins that count from their opening on and that an event from one number to another opened, counted in or closed.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn joins_without_cycle(&self, within: (Number, Number)) -> JournalResult<Vec<Kept<Join>>> {
        self.ask(|connection| find::joins_without_cycle(connection, within))
    }

    /// Return the runs that an event caused, including those that waited in a join first; oldest first.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn runs_caused_by(&self, event: Number) -> JournalResult<Vec<Run>> {
        self.ask(|connection| find::runs_caused_by(connection, event))
    }

    /// The numbers of the runs that each of these events wanted; see [`History::runs_caused_by`].
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn launched_by(&self, events: &[Number]) -> JournalResult<Vec<Vec<Number>>> {
        self.ask(|connection| events.iter().map(|event| find::launched_by(connection, *event)).collect())
    }

    /// The runs from `first` on that operators have acknowledged, with what they said.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn acknowledged_since(&self, first: Number) -> JournalResult<BTreeMap<Number, Acknowledgement>> {
        self.ask(|connection| find::acknowledged_since(connection, first))
    }

    /// The message by which a run reported, or the `crash` that was made for it.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn message_of_run(&self, run: &Run) -> JournalResult<Option<Record>> {
        run.report.as_ref().map_or(Ok(None), |report| self.event(report.message))
    }

    /// A join, open or closed.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn join(&self, id: Number) -> JournalResult<Option<Kept<Join>>> {
        self.ask(|connection| find::kept(connection, "joins", id))
    }

    /// The last event up to a number: the one in which whatever has that number was made.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn event_until(&self, number: Number) -> JournalResult<Option<Record>> {
        self.ask(|connection| find::event_until(connection, number))
    }

    /// The first operator's command after an event. For a message that an operator sent or had decided again, it is
    /// the command that did so.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn command_after(&self, event: Number) -> JournalResult<Option<Record>> {
        self.ask(|connection| find::command_after(connection, event))
    }

    /// The joins that an event opened, counted in or closed; oldest first.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn joins_of(&self, event: Number) -> JournalResult<Vec<Kept<Join>>> {
        self.ask(|connection| find::joins_of(connection, event))
    }

    /// Return the items that were parked until an event re-decided, released or discarded them.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn parked_until(&self, event: Number) -> JournalResult<Vec<Parked>> {
        self.ask(|connection| find::parked_until(connection, event))
    }

    /// Return the items with a number.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn numbered(&self, number: Number) -> JournalResult<Numbered> {
        self.ask(|connection| {
            Ok(Numbered {
                event: find::event(connection, number)?,
                run: find::run(connection, number)?,
                join: find::kept(connection, "joins", number)?,
                parked: find::kept(connection, "parked", number)?,
                hold: find::kept(connection, "holds", number)?,
            })
        })
    }

    /// Return all open items.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn open_now(&self) -> JournalResult<OpenItems> {
        self.ask(|connection| {
            let mut open = OpenItems {
                rules: rules(connection)?,
                last_event: find::last_event(connection)?,
                clock: clock::clock(connection)?,
                ..OpenItems::default()
            };
            for change in load::open(connection)? {
                match change {
                    Change::Run(run) => open.runs.push(Arc::unwrap_or_clone(run)),
                    Change::Join(join) => open.joins.push(join),
                    // The one before it.
                    Change::JoinClosed(_) => open.ended_joins.extend(open.joins.pop()),
                    Change::Parked(parked) => open.parked.push(parked),
                    Change::Hold(hold) => open.holds.push(hold),
                    Change::Scheduled { item, due, expired } => {
                        open.scheduled.entry(item).or_default().add(due, &expired);
                    }
                    Change::Expected(expected) => open.expected.push(expected),
                    _ => {}
                }
            }
            Ok(open)
        })
    }

    /// The checklist after the last event.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn checklist_now(&self) -> JournalResult<Map> {
        self.ask(|connection| fold::checklist_after(connection, Number(u64::MAX)))
            .map(|checklist| load::entries(&checklist.unwrap_or_default()))
    }

    /// The checklist, the cycles and the notes of messages after the last event, in one reading.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn checklist_and_cycles_now(&self) -> JournalResult<(Map, Cycles)> {
        let folded = self.ask(|connection| fold::after(connection, Number(u64::MAX)))?.unwrap_or_default();
        Ok((load::entries(&folded.checklist), folded.cycles.unwrap_or_default()))
    }

    /// The checklist before an event.
    ///
    /// # Errors
    ///
    /// See [`History::event`]; and if what led to it was removed.
    pub fn checklist_before(&self, number: Number) -> JournalResult<Map> {
        self.ask(|connection| fold::checklist_before(connection, number))
            .and_then(|checklist| known(checklist, number))
    }

    /// The cycles and the notes of messages after the last event.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn cycles_now(&self) -> JournalResult<Cycles> {
        self.ask(|connection| fold::after(connection, Number(u64::MAX)))
            .map(|folded| folded.and_then(|folded| folded.cycles).unwrap_or_default())
    }

    /// The cycles and the notes of messages before an event. `None` if they are not known: before version 8 they were not
    /// stored, and what led to them may have been removed.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn cycles_before(&self, number: Number) -> JournalResult<Option<Cycles>> {
        self.ask(|connection| fold::before(connection, number))
            .map(|folded| folded.and_then(|folded| folded.cycles))
    }

    /// The files of a generation of the rules, the main one first; none if they were not kept, or not any longer.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn rule_files(&self, generation: u64) -> JournalResult<Vec<RuleFile>> {
        self.ask(|connection| find::rule_files(connection, generation))
    }

    /// The time of the event before an event.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn time_before(&self, number: Number) -> JournalResult<Option<Timestamp>> {
        let before = Number(number.0.saturating_sub(1));
        let event = self.ask(|connection| find::event_until(connection, before))?;
        Ok(event.map(|event| event.at.timestamp()))
    }

    /// The number of the first event at or after a time, by the clock as it is set now. One more than the last event if all are before it.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn first_since(&self, time: Timestamp) -> JournalResult<Number> {
        self.ask(|connection| order::first_since(connection, time))
            .map(|number| Number(number.cast_unsigned()))
    }

    /// The number of the last event; 0 if there is none.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn last_event(&self) -> JournalResult<Number> {
        self.ask(load::last_event).map(Number)
    }

    /// Return the last launch of an entry of the schedule: its scheduled time, and when it was launched. `None` if there was none,
    /// or if its event was removed.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn last_scheduled(&self, item: &str, worker: &str) -> JournalResult<Option<(Timestamp, Steady)>> {
        self.ask(|connection| find::last_scheduled(connection, item, worker))
    }

    /// Return what steady time is counted from.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn clock(&self) -> JournalResult<Clock> {
        self.ask(clock::clock)
    }

    /// Return the last reading after a step of the wall clock that was reported.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn last_clock_step(&self) -> JournalResult<Option<ClockReading>> {
        self.ask(clock::last_step)
    }

    /// Return the steady time of an event.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn steady(&self, event: &Record) -> JournalResult<Steady> {
        self.ask(|connection| order::steady(connection, event.number, event.at.timestamp()))
    }

    /// The rules in force; `None` if none were loaded or refused yet.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn rules_in_force(&self) -> JournalResult<Option<RulesInForce>> {
        self.ask(rules)
    }

    /// Return the durations of a worker's last runs that ended by themselves and are alike, the latest first.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn durations(
        &self,
        worker: &str,
        is_like: impl Fn(&NextWorker) -> bool,
        most: usize,
    ) -> JournalResult<Vec<SignedDuration>> {
        self.ask(|connection| find::durations(connection, worker, is_like, most))
    }

    /// Return the usual duration of a worker's run with these arguments: the median of its last 20 successes.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn usual_duration(&self, worker: &str, args: &[String]) -> JournalResult<Option<SignedDuration>> {
        self.ask(|connection| find::usual_duration(connection, worker, args))
    }

    /// Return the last successful run of a worker.
    ///
    /// # Errors
    ///
    /// See [`History::event`].
    pub fn last_success(&self, worker: &str) -> JournalResult<Option<Run>> {
        self.ask(|connection| find::last_success(connection, worker))
    }

    /// Read within one transaction, so that all results are of one moment.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> JournalResult<T> {
        self.connection
            .unchecked_transaction()
            .and_then(|moment| question(&moment))
            .map_err(|error| JournalError::of(&self.file, "read the journal", error))
    }
}

impl Journal {
    /// The files of a generation of the rules, the main one first; none if they were not kept, or are not any longer.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged.
    pub fn rule_files(&self, generation: u64) -> Result<Vec<RuleFile>, JournalError> {
        find::rule_files(&self.connection, generation).map_err(|error| self.wrap("read the rules", error))
    }

    /// The checklist before an event.
    ///
    /// # Errors
    ///
    /// If the database cannot be read or is damaged, or what led to that checklist was removed.
    pub fn checklist_before(&self, number: Number) -> Result<Map, JournalError> {
        fold::checklist_before(&self.connection, number)
            .map_err(|error| self.wrap("read the checklist", error))
            .and_then(|checklist| known(checklist, number))
    }
}

fn known(checklist: Option<Checklist>, number: Number) -> JournalResult<Map> {
    checklist.map(|checklist| load::entries(&checklist)).ok_or(JournalError::Pruned(number))
}

fn rules(connection: &Connection) -> rusqlite::Result<Option<RulesInForce>> {
    let last: Option<i64> =
        connection.query_row("SELECT max(generation) FROM rules", [], |row| row.get(0))?;
    last.map_or(Ok(None), |last| rules_of(connection, last))
}

/// The rules of a generation.
pub(super) fn rules_of(connection: &Connection, generation: i64) -> rusqlite::Result<Option<RulesInForce>> {
    connection
        .query_row(
            "SELECT rules.generation, hash, loaded_by, refused, refused_by, at
             FROM rules LEFT JOIN events ON number = loaded_by WHERE rules.generation = ?1",
            [generation],
            |row| {
                let loaded_at: Option<String> = row.get("at")?;
                Ok(RulesInForce {
                    generation: row.get::<_, i64>(0)?.cast_unsigned(),
                    hash: row.get("hash")?,
                    loaded_by: row::number(row, "loaded_by")?,
                    loaded_at: loaded_at.map(|text| row::moment(&text)).transpose()?,
                    refused: row::optional_number(row, "refused_by")?.zip(row.get("refused")?),
                })
            },
        )
        .optional()
}
