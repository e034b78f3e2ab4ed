//! The open items before an earlier event, so that a forecast can be made with what was known then.
//!
//! Rows have the last state of an item, so what happened to it since is taken back. The journal does not tell everything; where it does
//! not, the later state stays:
//! - A join that counts from its opening forgets what it has received: a requirement that was met since is open again for any type.
//! - A join that was closed with its cycle and reopened counts as open in between.
//! - A join since a moment counts by the clock of the last event; the manager follows a clock that was set with the next message only.
//! - A parked message that was re-decided since has its latest reason, and of different requests of a join only the last is known.
//!
//! Settings of workers are those of the given policy. Nothing is guessed of expectations and of the schedule, which are left out.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::history::{self, History, OpenItems, RulesInForce};
use super::{JournalError, clock, find, load, order, row};
use nowcast_core::cycles::NoteScope;
use nowcast_core::hold::Hold;
use nowcast_core::parked::{Parked, ParkedItem};
use nowcast_core::run::{RunReport, Stage, StopReason};
use nowcast_core::{
    Clock, Command, Cycles, Join, Limits, Now, Number, Policy, Requirement, RetryDelay, Run, Steady,
    TimePoint,
};

impl History {
    /// Return the items that were open before an event. `cycles` are those before the event: [`History::cycles_before`]. The event is
    /// the first one of its moment, or what the others of that moment did counts as later.
    ///
    /// # Errors
    /// The database cannot be read or is damaged.
    pub fn open_before(
        &self,
        event: Number,
        policy: &Policy,
        cycles: &Cycles,
    ) -> Result<OpenItems, JournalError> {
        self.ask(|connection| Past { connection, event, policy, cycles }.open_items())
    }
}

/// The journal before an event.
struct Past<'a> {
    connection: &'a Connection,
    event: Number,
    policy: &'a Policy,
    cycles: &'a Cycles,
}

/// An event and its time.
#[derive(Clone, Copy)]
struct Happened {
    number: Number,
    at: Timestamp,
}

impl Past<'_> {
    fn open_items(&self) -> rusqlite::Result<OpenItems> {
        let last_event = find::event_until(self.connection, Number(self.event.0.saturating_sub(1)))?;
        let clock = Clock {
            reading: clock::reading_before(self.connection, self.event)?,
            last_event: last_event.as_ref().map(|event| event.at.timestamp()),
        };
        let now = match &last_event {
            Some(event) => clock.now(&event.at.clone().into()),
            None => Now::by_wall_clock(Timestamp::MIN),
        };
        Ok(OpenItems {
            runs: self.runs()?,
            joins: self.joins(now)?,
            ended_joins: self.ended_joins()?,
            parked: self.parked()?,
            holds: self.holds()?,
            rules: self.rules()?,
            clock,
            last_event,
            ..OpenItems::default()
        })
    }

    /// Collect the rows of a statement about the event.
    fn rows<T>(
        &self,
        statement: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(statement)?;
        statement.query_map([self.event.0.cast_signed()], read)?.collect()
    }

    // Runs.

    /// Only open runs change, so one that has changed since was open.
    fn runs(&self) -> rusqlite::Result<Vec<Run>> {
        let select = "SELECT body, changed_by FROM runs WHERE id < ?1 AND (is_open = 1 OR changed_by >= ?1) ORDER BY id";
        let runs = self.rows(select, |row| Ok((load::body::<Run>(row)?, row::number(row, "changed_by")?)))?;
        let then = |(run, changed_by)| if changed_by < self.event { Ok(run) } else { self.run(run) };
        runs.into_iter().map(then).collect()
    }

    /// Return a run that has changed since as it was.
    fn run(&self, mut run: Run) -> rusqlite::Result<Run> {
        forget_messages(&mut run, self.event);
        let launched = match run.stage {
            Stage::Pending { .. } => None,
            Stage::Launched { at, .. } => Some(at.wall),
            Stage::Ended { launched, .. } => launched,
        };
        let launch = launched.map_or(Ok(None), |launched| self.launch(&run, launched))?;
        let Some(launch) = launch else {
            run.stop_requested = None;
            run.stage = self.pending_stage(&run)?;
            return Ok(run);
        };
        if matches!(run.stage, Stage::Ended { .. }) && !self.ends_later(&run)? {
            return Ok(run);
        }
        let at = TimePoint { wall: launch.at, steady: self.steady(launch)? };
        let folder = run.folder().unwrap_or_default().to_owned();
        run.stage = Stage::Launched { at, folder };
        if run.stop_requested.is_some() {
            run.stop_requested = self.stop_requested(&run, launch, at.steady)?;
        }
        Ok(run)
    }

    /// Return the event that launched a run, if it was before: the first one at that time since the run was requested.
    fn launch(&self, run: &Run, launched: Timestamp) -> rusqlite::Result<Option<Happened>> {
        let Some(requested) = self.requested(run)? else { return Ok(None) };
        let mut events = self.connection.prepare_cached(
            "SELECT number, at FROM events WHERE number >= ?1 AND number < ?2 ORDER BY number",
        )?;
        let events = events.query_map(range(requested.number, self.event), happened)?;
        let mut events = events.skip_while(|event| event.as_ref().is_ok_and(|event| event.at != launched));
        events.next().transpose()
    }

    /// Return the event that requested a run.
    fn requested(&self, run: &Run) -> rusqlite::Result<Option<Happened>> {
        self.connection
            .prepare_cached("SELECT number, at FROM events WHERE number < ?1 ORDER BY number DESC LIMIT 1")?
            .query_row([run.id.0.cast_signed()], happened)
            .optional()
    }

    /// Return whether a run that has ended did so in the event or later.
    fn ends_later(&self, run: &Run) -> rusqlite::Result<bool> {
        let end = "SELECT 1 FROM events WHERE number >= ?1 AND kind = 'run_ended' AND run = ?2";
        let mut end = self.connection.prepare_cached(end)?;
        Ok(end.query_row(range(self.event, run.id), |_| Ok(())).optional()?.is_some())
    }

    /// Return the stage of a run that was not launched yet.
    fn pending_stage(&self, run: &Run) -> rusqlite::Result<Stage> {
        let requested = self.requested(run)?;
        let mut now = match requested {
            Some(requested) => TimePoint { wall: requested.at, steady: self.steady(requested)? },
            None => TimePoint::by_wall_clock(Timestamp::MIN),
        };
        let mut released = None;
        for (event, command, _) in self.commands(run.id)? {
            if matches!(command, Command::Release { number } if number == run.id) {
                now = TimePoint { wall: event.at, steady: self.steady(event)? };
                released = Some(Stage::Pending { due: now.steady, at: None });
            }
        }
        let options = &run.worker.options;
        if let Some(released) = released {
            return Ok(released);
        }
        if run.retry_of.is_some() {
            let said = options.retry_delay.map(RetryDelay::constant);
            let delay = said.or_else(|| self.limits(run)?.retry_delay);
            let delay = delay.map(|delay| delay.before(run.attempt)).unwrap_or_default();
            return Ok(Stage::Pending { due: now.steady.after(delay), at: None });
        }
        let due = now.steady.after(options.delay.unwrap_or_default());
        let at = options.at.filter(|at| now.steady_at(*at) > due);
        Ok(Stage::Pending { due: at.map_or(due, |at| now.steady_at(at)), at })
    }

    fn limits(&self, run: &Run) -> Option<&Limits> {
        self.policy.limits.get(run.worker.name())
    }

    /// Return why the stop of a running run was requested, if it was by then: its timeout, or the last operator who killed it.
    fn stop_requested(
        &self,
        run: &Run,
        launch: Happened,
        launched: Steady,
    ) -> rusqlite::Result<Option<StopReason>> {
        let mut reason = self.timed_out(run, launch, launched)?.then_some(StopReason::Timeout);
        for (_, command, user) in self.commands(launch.number)? {
            let is_stopped = match command {
                Command::Kill { run: killed } => killed == run.id,
                Command::KillCycle { cycle } | Command::CancelCycle { cycle, .. } => Some(cycle) == run.cycle,
                _ => false,
            };
            if is_stopped {
                reason = Some(StopReason::Killed(user));
            }
        }
        Ok(reason)
    }

    /// Return whether a run had its stop requested by its timeout, unless an operator did so before.
    fn timed_out(&self, run: &Run, launch: Happened, launched: Steady) -> rusqlite::Result<bool> {
        let timeout = run.worker.options.timeout.or_else(|| self.limits(run)?.timeout);
        let Some(timeout) = timeout.and_then(|timeout| launched.checked_after(timeout)) else {
            return Ok(false);
        };
        let due = "SELECT number, at FROM events WHERE number > ?1 AND number < ?2 AND kind = 'due' ORDER BY number DESC LIMIT 1";
        let mut due = self.connection.prepare_cached(due)?;
        let last = due.query_row(range(launch.number, self.event), happened).optional()?;
        last.map_or(Ok(false), |last| Ok(self.steady(last)? >= timeout))
    }

    /// Return the operators' commands after an event, with the users' names.
    fn commands(&self, after: Number) -> rusqlite::Result<Vec<(Happened, Command, String)>> {
        self.connection
            .prepare_cached(
                "SELECT number, at, detail, user FROM events WHERE number > ?1 AND number < ?2 AND kind = 'command'
                 ORDER BY number",
            )?
            .query_map(range(after, self.event), |row| {
                let command = row::from_json(row.get_ref(2)?.as_str()?)?;
                Ok((happened(row)?, command, row.get(3)?))
            })?
            .collect()
    }

    fn steady(&self, event: Happened) -> rusqlite::Result<Steady> {
        order::steady(self.connection, event.number, event.at)
    }

    // Joins.

    fn joins(&self, now: Now) -> rusqlite::Result<Vec<Join>> {
        let select =
            "SELECT body FROM joins WHERE id < ?1 AND (closed_by IS NULL OR closed_by >= ?1) ORDER BY id";
        self.rows(select, load::body::<Join>)?.into_iter().map(|join| self.join(join, now)).collect()
    }

    fn join(&self, mut join: Join, now: Now) -> rusqlite::Result<Join> {
        if let Some(identity) = &mut join.identity {
            identity.end = None;
            identity.conflict.take_if(|conflict| conflict.message >= self.event);
            (join.requires, join.received) = identity.evaluate(self.cycles, now);
            return Ok(join);
        }
        join.pending.retain(|launch| launch.cause < self.event);
        while let Some(message) = join.received.pop_if(|message| *message >= self.event) {
            let sent = find::worker_and_type(self.connection, message)?;
            if let Some((worker, r#type)) = sent {
                require_again(&mut join.requires, worker, &r#type);
            }
        }
        Ok(join)
    }

    /// Joins by cycle are known as long as their cycle is kept.
    fn ended_joins(&self) -> rusqlite::Result<Vec<Join>> {
        let select =
            "SELECT body FROM joins WHERE closed_by < ?1 AND body ->> '$.identity' IS NOT NULL ORDER BY id";
        let mut joins = self.rows(select, load::body::<Join>)?;
        joins.retain_mut(|join| {
            let Some(identity) = &mut join.identity else { return false };
            identity.conflict.take_if(|conflict| conflict.message >= self.event);
            match &identity.scope {
                NoteScope::Cycle(cycle) => self.cycles.get(cycle).is_some_and(|kept| kept.begun < join.id),
                NoteScope::Since(_) => true,
            }
        });
        Ok(joins)
    }

    // Others.

    fn parked(&self) -> rusqlite::Result<Vec<Parked>> {
        let select =
            "SELECT body FROM parked WHERE id < ?1 AND (closed_by IS NULL OR closed_by >= ?1) ORDER BY id";
        let mut parked = Vec::new();
        for item in self.rows(select, load::body::<Parked>)? {
            if self.is_parked(&item)? {
                parked.push(item);
            }
        }
        Ok(parked)
    }

    /// Return whether an item was parked by then. That of a join has its number, so it was parked when the join was closed.
    fn is_parked(&self, parked: &Parked) -> rusqlite::Result<bool> {
        let ParkedItem::Launches { join: Some(_), .. } = &parked.item else { return Ok(true) };
        let closed = self
            .connection
            .prepare_cached("SELECT closed_by FROM joins WHERE id = ?1")?
            .query_row([parked.id.0.cast_signed()], |row| row::optional_number(row, 0))
            .optional()?;
        Ok(closed.flatten().is_none_or(|closed| closed < self.event))
    }

    /// Of the refusals of a generation the last one is kept.
    fn rules(&self) -> rusqlite::Result<Option<RulesInForce>> {
        let last =
            "SELECT generation FROM events WHERE number < ?1 AND generation > 0 ORDER BY number DESC LIMIT 1";
        let mut last = self.connection.prepare_cached(last)?;
        let generation = last.query_row([self.event.0.cast_signed()], |row| row.get(0)).optional()?;
        let rules = generation.map_or(Ok(None), |last| history::rules_of(self.connection, last))?;
        Ok(rules.map(|mut rules| {
            rules.refused.take_if(|(refused_by, _)| *refused_by >= self.event);
            rules
        }))
    }

    fn holds(&self) -> rusqlite::Result<Vec<Hold>> {
        let select =
            "SELECT body FROM holds WHERE id < ?1 AND (closed_by IS NULL OR closed_by >= ?1) ORDER BY id";
        self.rows(select, load::body)
    }
}

fn range(first: Number, last: Number) -> [i64; 2] {
    [first, last].map(|number| number.0.cast_signed())
}

/// Read the columns `number` and `at`.
fn happened(row: &rusqlite::Row<'_>) -> rusqlite::Result<Happened> {
    let at = row::moment(row.get_ref(1)?.as_str()?)?.timestamp();
    Ok(Happened { number: row::number(row, 0)?, at })
}

/// Take the messages since an event from a run: the last report before is its report again.
fn forget_messages(run: &mut Run, event: Number) {
    let mut messages: Vec<RunReport> = std::mem::take(&mut run.sent);
    messages.extend(run.report.take());
    messages.retain(|message| message.message < event);
    messages.sort_unstable_by_key(|message| message.message);
    for message in messages {
        if message.r#type == "clear checklist" {
            run.sent.push(message);
        } else {
            run.sent.extend(run.report.replace(message));
        }
    }
}

/// Require a message again that has counted.
fn require_again(requires: &mut Vec<Requirement>, worker: String, r#type: &str) {
    let is_met = |required: &&mut Requirement| {
        required.worker == worker && required.r#type.as_deref().is_none_or(|required| required == r#type)
    };
    match requires.iter_mut().find(is_met) {
        Some(required) => required.count += 1,
        None => requires.push(Requirement { worker, r#type: None, count: 1, cycle: None }),
    }
}
