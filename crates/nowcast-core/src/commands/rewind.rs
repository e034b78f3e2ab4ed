//! Rewind a cycle: one record, so that a manager that is killed has done all of it or nothing.

use super::{NAMED, Outcomes};
use crate::counted::counted;
use crate::cycle::{Cycle, CycleOption};
use crate::cycles::CycleMark;
use crate::decide::Decision;
use crate::join::Join;
use crate::level::Level;
use crate::next_worker::NextWorker;
use crate::record::Change;
use crate::requested_launch::RequestedLaunch;
use crate::rewind::{MOST_REPEATED, Rewind};
use crate::run::RunId;

impl Decision<'_> {
    /// Forget messages of a cycle, open its joins that have counted them, and repeat the runs of a worker.
    pub(super) fn rewind(&mut self, rewind: &Rewind) -> Outcomes {
        let cycle = &rewind.cycle;
        let kept = self.kept_cycle(cycle)?;
        self.check_rewind(rewind)?;
        let forgotten = kept.notes.messages().filter(|(_, noted)| rewind.messages.contains(&noted.message));
        let forgotten = forgotten.count();
        let messages = rewind.messages.iter().copied().collect();
        self.change(Change::CycleRewound { cycle: cycle.clone(), messages });
        let (reopened, released) = self.recount_joins(rewind);
        if matches!(kept.mark, Some(CycleMark::Done { .. })) {
            self.change(Change::CycleMarked { cycle: cycle.clone(), mark: None });
            self.mark_if_done(cycle);
        }
        let mut runs: Vec<RunId> = Vec::new();
        for repeated in &rewind.launches {
            let launch = in_cycle(&repeated.worker, cycle);
            let why = format!(", again after {}", repeated.rerun_of);
            runs.extend(self.launch_requested(&launch, Some(repeated.origin), &why)?.1);
        }
        runs.extend(released.into_iter().filter_map(|launch| self.add_launch(launch)));
        let pending = self.pending_notes(&runs);
        let parts = [
            Some(counted(forgotten, "message is forgotten", "messages are forgotten")),
            Some(reopened).filter(|joins| !joins.is_empty()).map(|joins| reopened_text(&joins)),
            Some(counted(runs.len(), "launch follows", "launches follow")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = format!("cycle {cycle} is rewound to {}: {}{pending}", rewind.from, parts.join(", "));
        Ok((text, runs))
    }

    /// Refuse a rewind of which something would be left out or done twice.
    fn check_rewind(&self, rewind: &Rewind) -> Result<(), String> {
        let cycle = &rewind.cycle;
        if self.state.cycles.get(cycle).is_none_or(|kept| kept.last != rewind.seen) {
            return Err(format!(
                "cycle {cycle} went on meanwhile, so nothing is rewound; the same command shows what follows from {} now",
                rewind.from
            ));
        }
        if let Some(unknown) = rewind.messages.iter().find(|message| **message >= self.number) {
            return Err(format!("there is no message {unknown}; use a number shown by \"nowcast messages\""));
        }
        if let Some(reason) = self.state.blocks_rewind(rewind) {
            return Err(reason);
        }
        let count = rewind.launches.len();
        if !(1..=MOST_REPEATED).contains(&count) {
            return Err(format!("a rewind has 1 to {MOST_REPEATED} launches, not {count}"));
        }
        rewind.launches.iter().try_for_each(|repeated| self.check_launch(&repeated.worker))
    }

    /// Count the notes again in joins that have counted forgotten ones. Return the joins that were complete and are open now, and the
    /// launches of those that are still complete.
    fn recount_joins(&mut self, rewind: &Rewind) -> (Vec<Join>, Vec<RequestedLaunch>) {
        let joins = &self.state.joins;
        let ended = joins.ended().filter(|join| rewind.reopens(join));
        let open = joins.open().filter(|join| join.identity.is_some() && rewind.concerns(join));
        let concerned: Vec<Join> = ended.chain(open).cloned().collect();
        let (mut reopened, mut released) = (Vec::new(), Vec::new());
        for mut join in concerned {
            let Some(identity) = &mut join.identity else { continue };
            let was_complete = identity.end.take().is_some();
            (join.requires, join.received) = identity.evaluate(&self.state.cycles, self.now);
            if was_complete {
                join.deadline = join.timeout.map(|timeout| self.now.steady.after(timeout));
                let text =
                    format!("join {} is open again; it requires {}", self.label(&join), join.requirements());
                self.log(Level::Debug, text);
                reopened.push(join.clone());
            }
            released.extend(self.update_identified(join));
        }
        reopened.retain(|join| !join.is_complete());
        (reopened, released)
    }
}

fn in_cycle(worker: &NextWorker, cycle: &Cycle) -> NextWorker {
    let mut launch = worker.clone();
    launch.options.cycle = Some(CycleOption::Label(cycle.clone()));
    launch
}

fn reopened_text(joins: &[Join]) -> String {
    let named: Vec<&str> = joins.iter().take(NAMED).map(|join| join.name.as_str()).collect();
    let more = joins.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{} ({}{more})",
        counted(joins.len(), "join is open again", "joins are open again"),
        named.join(", ")
    )
}
