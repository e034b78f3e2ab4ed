//! Release and discard: of holds, joins, parked launches and messages, and pending launches.

use std::sync::Arc;

use super::{NAMED, Outcomes, refused_by_cancelled};
use crate::clock::Steady;
use crate::decide::Decision;
use crate::join_identity::JoinEnd;
use crate::parked::{Parked, ParkedItem};
use crate::record::Change;
use crate::run::{Ending, Number, Run, RunId, Stage};
use crate::runs::DueQueue;

impl Decision<'_> {
    pub(super) fn release(&mut self, number: Number) -> Outcomes {
        if let Some(hold) = self.state.holds.get(&number).cloned() {
            let is_held = |(_, run): &(Steady, &Run)| hold.holds(&run.worker, run.cycle.as_ref());
            let mut held: Vec<_> =
                self.state.runs.due_queues(self.now).flat_map(DueQueue::iter).filter(is_held).collect();
            held.sort_by_key(|(due, run)| (*due, run.id));
            let held: Vec<RunId> = held.into_iter().map(|(_, run)| run.id).collect();
            self.change(Change::HoldReleased(number));
            let pending = self.pending_notes(&held);
            return Ok((format!("hold {number} of {} has ended{pending}", hold.target), Vec::new()));
        }
        if let Some(Parked { item: ParkedItem::Launches { join, launches }, .. }) =
            self.state.parked.get(&number).cloned()
        {
            let mut cycles = launches.iter().filter_map(|launch| launch.cycle.as_ref());
            if let Some(cycle) = cycles.find(|cycle| self.is_cancelled(Some(cycle))) {
                return Err(refused_by_cancelled(cycle));
            }
            self.change(Change::ParkedClosed(number));
            let runs: Vec<RunId> =
                launches.into_iter().filter_map(|launch| self.add_launch(launch)).collect();
            let pending = self.pending_notes(&runs);
            let what = join.map_or_else(
                || "the parked launch is launched".to_owned(),
                |join| format!("the pending launches of join {join} are launched"),
            );
            return Ok((format!("{what}{pending}"), runs));
        }
        if let Some(join) = self.state.joins.get(number).cloned() {
            self.close_join(join.clone(), JoinEnd::Released);
            let runs: Vec<RunId> =
                join.launches().into_iter().filter_map(|launch| self.add_launch(launch)).collect();
            let pending = self.pending_notes(&runs);
            let text =
                format!("join {} is released without {}{pending}", self.label(&join), join.requirements());
            return Ok((text, runs));
        }
        match self.state.runs.get(&number).cloned() {
            Some(mut run) if matches!(run.stage, Stage::Pending { .. }) => {
                run.stage = Stage::Pending { due: self.now.steady, at: None };
                let name = run.worker.name().to_owned();
                self.change(Change::Run(Arc::new(run)));
                let pending = self.pending_note(number);
                Ok((format!("{name} (run {number}) is released{pending}"), vec![number]))
            }
            _ if self.state.parked.contains_key(&number) => {
                Err(format!("{number} is a parked message; nowcast retry {} re-decides it", number.0))
            }
            _ => Err(not_pending(number)),
        }
    }

    /// Return the part of an answer that says why a launch is still pending.
    pub(super) fn pending_note(&mut self, run: RunId) -> String {
        self.launch_ready_runs();
        self.pending_reason(run).map(|reason| format!("; it is {reason}")).unwrap_or_default()
    }

    /// Return the part of an answer that says which launches are still pending and why.
    pub(super) fn pending_notes(&mut self, runs: &[RunId]) -> String {
        self.launch_ready_runs();
        let note = |id: &RunId| {
            let name = self.state.runs.get(id)?.worker.name();
            Some(format!("; {name} {id} is {}", self.pending_reason(*id)?))
        };
        let pending: Vec<String> = runs.iter().filter_map(note).collect();
        let named: String = pending.iter().take(NAMED).map(String::as_str).collect();
        match pending.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named}; and {more} more: nowcast status shows them"),
        }
    }

    /// Return why a launch is pending; `None` if it is not.
    fn pending_reason(&self, id: RunId) -> Option<String> {
        let run = self.state.runs.get(&id)?;
        let due = run.due(self.now)?;
        if due > self.now.steady {
            return Some(format!("pending until {}", self.clock(self.now.wall_at(due))));
        }
        let blocked_by = self.state.blocked_by(run);
        Some(blocked_by.map_or_else(|| "pending".to_owned(), |blocked_by| format!("blocked by {blocked_by}")))
    }

    pub(super) fn discard(&mut self, number: Number) -> Outcomes {
        if let Some(parked) = self.state.parked.get(&number).cloned() {
            self.change(Change::ParkedClosed(number));
            let text = match parked.item {
                ParkedItem::Message { source, r#type, .. } => {
                    format!("parked message {number} is discarded: {source}: ({type})")
                }
                ParkedItem::Launches { join, .. } => {
                    let what = join.map_or_else(String::new, |join| format!(" of join {join}"));
                    format!("the parked launches{what} are discarded")
                }
            };
            return Ok((text, Vec::new()));
        }
        if let Some(join) = self.state.joins.get(number).cloned() {
            let text = format!("join {} is discarded, with its pending launches", self.label(&join));
            self.close_join(join, JoinEnd::Discarded);
            return Ok((text, Vec::new()));
        }
        match self.state.runs.get(&number).cloned() {
            Some(run) if matches!(run.stage, Stage::Pending { .. }) => {
                let text = format!("{} (run {number}) is discarded", run.worker.name());
                self.discard_run(run);
                Ok((text, Vec::new()))
            }
            Some(run) if run.is_running() => Err(format!(
                "{} (run {number}) is running; nowcast kill {} stops it",
                run.worker.name(),
                number.0
            )),
            _ if self.state.holds.contains_key(&number) => {
                Err(format!("{number} is a hold; nowcast release {} ends it", number.0))
            }
            _ => Err(not_pending(number)),
        }
    }

    pub(super) fn discard_run(&mut self, mut run: Run) {
        let (launched, at, ran) = (None, self.now.time, None);
        run.stage = Stage::Ended {
            launched,
            exited: None,
            at,
            ran,
            ending: Ending::Discarded,
            folder: String::new(),
        };
        self.change(Change::Run(Arc::new(run)));
    }
}

fn not_pending(number: Number) -> String {
    format!(
        "{number} cannot be released or discarded; nowcast status shows holds, joins, and parked and pending launches"
    )
}
