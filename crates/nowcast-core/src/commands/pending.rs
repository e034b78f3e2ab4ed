//! Requests about what waits: holds, joins, parked launches and waiting runs are released or discarded.

use jiff::Timestamp;

use super::{NAMED, Outcomes};
use crate::decide::Decision;
use crate::parked::{Parked, ParkedItem};
use crate::record::Change;
use crate::run::{Ending, Number, Run, RunId, Stage};

impl Decision<'_> {
    pub(super) fn release(&mut self, what: Number) -> Outcomes {
        if let Some(hold) = self.state.holds.get(&what).cloned() {
            let now = self.timestamp();
            let is_held = |(_, run): &(Timestamp, &Run)| hold.holds(&run.worker);
            let mut held: Vec<_> = self.state.runs.queues(now).flatten().filter(is_held).collect();
            held.sort_by_key(|(due, run)| (*due, run.id));
            let held: Vec<RunId> = held.into_iter().map(|(_, run)| run.id).collect();
            self.change(Change::HoldReleased(what));
            let waiting = self.pending_notes(&held);
            return Ok((format!("the hold {what} of {} is over{waiting}", hold.target), Vec::new()));
        }
        if let Some(Parked { item: ParkedItem::Launches { join, launches }, .. }) =
            self.state.parked.get(&what).cloned()
        {
            self.change(Change::ParkedClosed(what));
            let runs: Vec<RunId> =
                launches.into_iter().map(|launch| self.add_launch(launch.worker, launch.cause)).collect();
            let waiting = self.pending_notes(&runs);
            return Ok((format!("what waited in the join of {join} is launched{waiting}"), runs));
        }
        if let Some(join) = self.state.joins.get(what).cloned() {
            self.change(Change::JoinClosed(what));
            let runs: Vec<RunId> = join
                .launches()
                .into_iter()
                .map(|launch| self.add_launch(launch.worker, launch.cause))
                .collect();
            let waiting = self.pending_notes(&runs);
            let text =
                format!("the join of {} waits no more for {}{waiting}", join.name, join.requirements());
            return Ok((text, runs));
        }
        match self.state.runs.get(&what).cloned() {
            Some(mut run) if matches!(run.stage, Stage::Pending { .. }) => {
                run.stage = Stage::Pending { due: self.timestamp() };
                let name = run.worker.name().to_owned();
                self.change(Change::Run(Box::new(run)));
                let waits = self.pending_note(what);
                Ok((format!("{name} (run {what}) waits for its time no more{waits}"), vec![what]))
            }
            _ if self.state.parked.contains_key(&what) => {
                Err(format!("{what} is a parked message; nowcast retry {} decides it again", what.0))
            }
            _ => Err(not_pending(what)),
        }
    }

    /// What is to be added to the answer about a launch that does not go at once.
    pub(super) fn pending_note(&mut self, run: RunId) -> String {
        self.admit();
        self.pending_reason(run).map(|what| format!("; it waits{what}")).unwrap_or_default()
    }

    /// What is to be added to the answer about launches that do not all go at once.
    fn pending_notes(&mut self, runs: &[RunId]) -> String {
        self.admit();
        let waits = |id: &RunId| {
            let name = self.state.runs.get(id)?.worker.name();
            Some(format!("; {name} {id} waits{}", self.pending_reason(*id)?))
        };
        let waiting: Vec<String> = runs.iter().filter_map(waits).collect();
        let named: String = waiting.iter().take(NAMED).map(String::as_str).collect();
        match waiting.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named}; and {more} more: nowcast status shows them"),
        }
    }

    /// What a run waits for, for a person; `None` for one that does not wait.
    fn pending_reason(&self, id: RunId) -> Option<String> {
        let run = self.state.runs.get(&id)?;
        let Stage::Pending { due } = run.stage else { return None };
        if due > self.timestamp() {
            return Some(format!(" until {}", self.clock(due)));
        }
        Some(self.state.blocked_by(run).map(|blocked_by| format!(": {blocked_by}")).unwrap_or_default())
    }

    pub(super) fn discard(&mut self, what: Number) -> Outcomes {
        if let Some(parked) = self.state.parked.get(&what).cloned() {
            self.change(Change::ParkedClosed(what));
            let text = match parked.item {
                ParkedItem::Message { source, r#type, .. } => {
                    format!("the parked message {what} is discarded: {source}: ({type})")
                }
                ParkedItem::Launches { join, .. } => {
                    format!("what waited in the join of {join} is discarded")
                }
            };
            return Ok((text, Vec::new()));
        }
        if let Some(join) = self.state.joins.get(what).cloned() {
            self.change(Change::JoinClosed(what));
            return Ok((
                format!("the join of {} is discarded, with what waited in it", join.name),
                Vec::new(),
            ));
        }
        match self.state.runs.get(&what).cloned() {
            Some(run) if matches!(run.stage, Stage::Pending { .. }) => {
                let text = format!("{} (run {what}) is discarded", run.worker.name());
                self.discard_run(run);
                Ok((text, Vec::new()))
            }
            Some(run) if run.is_running() => {
                Err(format!("{} (run {what}) is running; nowcast kill {} ends it", run.worker.name(), what.0))
            }
            _ if self.state.holds.contains_key(&what) => {
                Err(format!("{what} is a hold; nowcast release {} ends it", what.0))
            }
            _ => Err(not_pending(what)),
        }
    }

    fn discard_run(&mut self, mut run: Run) {
        let at = self.timestamp();
        run.stage = Stage::Ended { launched: None, at, ending: Ending::Discarded, folder: String::new() };
        self.change(Change::Run(Box::new(run)));
    }
}

fn not_pending(what: Number) -> String {
    format!("{what} cannot be released or discarded; nowcast status shows what waits")
}
