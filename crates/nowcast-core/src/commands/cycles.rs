//! Commands about cycles: cancel, resume and skip one, stop its runs, and begin many.

use std::sync::Arc;

use super::{NAMED, Outcomes, refused_by_cancelled};
use crate::counted::counted;
use crate::cycle::{Cycle, CycleOption};
use crate::cycles::{CycleMark, KeptCycle, NoteScope};
use crate::decide::Decision;
use crate::effect::Effect;
use crate::join::Join;
use crate::join_identity::JoinEnd;
use crate::next_worker::NextWorker;
use crate::parked::ParkedItem;
use crate::record::Change;
use crate::requested_launch::RequestedLaunch;
use crate::run::{Number, Run, RunId, Stage, StopReason};

/// The most launches of one backfill.
pub const MOST_BACKFILLED: usize = 1_000;

impl Decision<'_> {
    /// Stop and discard what is open of a cycle. Its later launches are parked until it is resumed.
    pub(super) fn cancel_cycle(&mut self, cycle: &Cycle, user: &str) -> Outcomes {
        if self.is_cancelled(Some(cycle)) {
            return Err(format!("cycle {cycle} is cancelled already"));
        }
        self.kept_cycle(cycle)?;
        let mark = CycleMark::Cancelled { user: user.to_owned(), at: self.now.wall };
        self.change(Change::CycleMarked { cycle: cycle.clone(), mark: Some(mark) });
        let stopping = self.stop_runs_of(cycle, user);
        let pending: Vec<Run> = self.runs_of(cycle, |run| matches!(run.stage, Stage::Pending { .. }));
        let discarded = pending.len();
        for run in pending {
            self.discard_run(run);
        }
        let joins = self.joins_only_of(cycle);
        let closed = joins.len();
        for join in joins {
            self.close_join(join, JoinEnd::Cancelled);
        }
        let parts = [
            (stopping.len(), "run is stopping", "runs are stopping"),
            (discarded, "pending launch is discarded", "pending launches are discarded"),
            (closed, "join is closed", "joins are closed"),
        ];
        let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, one, many)| counted(count, one, many)).collect();
        let done = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        let text = format!(
            "cycle {cycle} is cancelled{done}; later launches of it are parked until \"nowcast cycle resume {cycle}\""
        );
        Ok((text, stopping))
    }

    /// Take back that a cycle is cancelled or skipped, and launch what was parked meanwhile.
    pub(super) fn resume_cycle(&mut self, cycle: &Cycle) -> Outcomes {
        match self.kept_cycle(cycle)?.mark {
            Some(CycleMark::Cancelled { .. } | CycleMark::Skipped { .. }) => {}
            _ => return Err(format!("cycle {cycle} is neither cancelled nor skipped")),
        }
        self.change(Change::CycleMarked { cycle: cycle.clone(), mark: None });
        self.mark_if_done(cycle);
        let mut launched = Vec::new();
        let items: Vec<Number> = self.state.activity.open_in(cycle).collect();
        for id in items {
            let Some(ParkedItem::Launches { join: None, launches }) =
                self.state.parked.get(&id).map(|parked| parked.item.clone())
            else {
                continue;
            };
            self.change(Change::ParkedClosed(id));
            launched.extend(launches.into_iter().filter_map(|launch| self.add_launch(launch)));
        }
        for released in self.reopen_joins_of(cycle) {
            launched.extend(self.add_launch(released));
        }
        let pending = self.pending_notes(&launched);
        let parked = match launched.len() {
            0 => String::new(),
            count => {
                format!("; {}", counted(count, "launch follows", "launches follow"))
            }
        };
        Ok((format!("cycle {cycle} is resumed{parked}{pending}"), launched))
    }

    /// Open the identified joins again that were closed when it was cancelled. Return the launches of those that are complete.
    fn reopen_joins_of(&mut self, cycle: &Cycle) -> Vec<RequestedLaunch> {
        let ended: Vec<Join> =
            self.state.joins.ended().filter(|join| join.cycle.as_ref() == Some(cycle)).cloned().collect();
        let mut released = Vec::new();
        for mut join in ended {
            let Some(identity) =
                join.identity.as_mut().filter(|identity| identity.end == Some(JoinEnd::Cancelled))
            else {
                continue;
            };
            identity.end = None;
            (join.requires, join.received) = identity.evaluate(&self.state.cycles, self.now);
            join.deadline = join.timeout.map(|timeout| self.now.steady.after(timeout));
            released.extend(self.update_identified(join));
        }
        released
    }

    /// Free the slots of a cycle that will not be done. Nothing of it is stopped.
    pub(super) fn skip_cycle(&mut self, cycle: &Cycle, user: &str) -> Outcomes {
        let what = match self.kept_cycle(cycle)?.mark {
            None => {
                let mark = CycleMark::Skipped { user: user.to_owned(), at: self.now.wall };
                self.change(Change::CycleMarked { cycle: cycle.clone(), mark: Some(mark) });
                let text = format!("cycle {cycle} is skipped: limits on cycles do not wait for it any more");
                return Ok((text, Vec::new()));
            }
            Some(CycleMark::Done { .. }) => "done",
            Some(CycleMark::Cancelled { .. }) => "cancelled",
            Some(CycleMark::Skipped { .. }) => "skipped",
        };
        Err(format!("cycle {cycle} is {what} already"))
    }

    /// Stop the running runs of a cycle.
    pub(super) fn kill_cycle(&mut self, cycle: &Cycle, user: &str) -> Outcomes {
        let stopping = self.stop_runs_of(cycle, user);
        if stopping.is_empty() {
            return Err(format!("no run of cycle {cycle} is running; nowcast cycle {cycle} shows the cycle"));
        }
        let named: Vec<String> = stopping.iter().take(NAMED).map(ToString::to_string).collect();
        let more = stopping.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let count = counted(stopping.len(), "run is stopping", "runs are stopping");
        Ok((format!("cycle {cycle}: {count}: {}{more}", named.join(", ")), stopping))
    }

    /// Launch a worker once for each of several cycles: all of them or none.
    pub(super) fn backfill(&mut self, launches: &[NextWorker], again: bool) -> Outcomes {
        if launches.is_empty() || launches.len() > MOST_BACKFILLED {
            return Err(format!("a backfill has 1 to {MOST_BACKFILLED} launches, not {}", launches.len()));
        }
        let labels = || {
            launches.iter().filter_map(|worker| match &worker.options.cycle {
                Some(CycleOption::Label(cycle)) => Some(cycle),
                _ => None,
            })
        };
        let known: Vec<&str> =
            labels().filter(|cycle| self.state.cycles.get(cycle).is_some()).map(Cycle::as_str).collect();
        if !again && !known.is_empty() {
            let named = known.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if known.len() > NAMED {
                format!(" and {} more", known.len() - NAMED)
            } else {
                String::new()
            };
            return Err(format!("these cycles exist already: {named}{more}; --again launches in them, too"));
        }
        if let Some(cycle) = labels().find(|cycle| self.is_cancelled(Some(cycle))) {
            return Err(refused_by_cancelled(cycle));
        }
        for worker in launches {
            self.check_launch(worker)?;
        }
        let mut runs = Vec::new();
        for worker in launches {
            runs.extend(self.launch_requested(worker, None, "")?.1);
        }
        let waiting =
            runs.iter().filter(|run| self.state.runs.get(run).is_some_and(|run| !run.is_running())).count();
        let (first, last) = (labels().next(), labels().next_back());
        let range = first.zip(last).map(|(first, last)| format!(": {first} … {last}")).unwrap_or_default();
        let blocked = if waiting > 0 { format!("; {waiting} are pending") } else { String::new() };
        let count = counted(launches.len(), "cycle begins", "cycles begin");
        Ok((format!("{count}{range}{blocked}"), runs))
    }

    /// Whether launches of a cycle are parked.
    pub(crate) fn is_cancelled(&self, cycle: Option<&Cycle>) -> bool {
        let kept = cycle.and_then(|cycle| self.state.cycles.get(cycle));
        kept.is_some_and(|kept| matches!(kept.mark, Some(CycleMark::Cancelled { .. })))
    }

    pub(super) fn kept_cycle(&self, cycle: &Cycle) -> Result<KeptCycle, String> {
        let kept = self.state.cycles.get(cycle).cloned();
        kept.ok_or_else(|| format!("there is no cycle {cycle}; \"nowcast cycles\" lists cycles"))
    }

    fn runs_of(&self, cycle: &Cycle, is_meant: impl Fn(&Run) -> bool) -> Vec<Run> {
        let runs = self.state.activity.open_in(cycle).filter_map(|id| self.state.runs.get(&id));
        runs.filter(|run| is_meant(run)).cloned().collect()
    }

    fn stop_runs_of(&mut self, cycle: &Cycle, user: &str) -> Vec<RunId> {
        let running = self.runs_of(cycle, Run::is_running);
        let ids = running.iter().map(|run| run.id).collect();
        for mut run in running {
            run.stop_requested = Some(StopReason::Killed(user.to_owned()));
            self.effects.push(Effect::StopRun(run.id));
            self.change(Change::Run(Arc::new(run)));
        }
        ids
    }

    /// The joins by this cycle, and the others that launch in it only. One that also has launches of other cycles stays open: those of
    /// this cycle are parked when it is complete.
    fn joins_only_of(&self, cycle: &Cycle) -> Vec<Join> {
        let is_only_of = |join: &&Join| {
            let is_of_scope = join
                .identity
                .as_ref()
                .is_some_and(|identity| identity.scope == NoteScope::Cycle(cycle.clone()));
            let is_of_cycle = |launch: &RequestedLaunch| launch.cycle.as_ref() == Some(cycle);
            is_of_scope || join.launches().iter().all(is_of_cycle)
        };
        let joins = self.state.activity.open_in(cycle).filter_map(|id| self.state.joins.get(id));
        joins.filter(is_only_of).cloned().collect()
    }
}
