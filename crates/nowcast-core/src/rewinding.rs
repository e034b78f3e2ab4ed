//! What keeps a cycle from being rewound.

use crate::commands::refused_by_cancelled;
use crate::cycles::CycleMark;
use crate::parked::ParkedItem;
use crate::rewind::Rewind;
use crate::state::State;

impl State {
    /// Return why a cycle cannot be rewound: something that would be forgotten is open. Else it would go on beside its repetition.
    pub(super) fn blocks_rewind(&self, rewind: &Rewind) -> Option<String> {
        let cycle = &rewind.cycle;
        let mark = self.cycles.get(cycle).and_then(|kept| kept.mark.as_ref());
        if matches!(mark, Some(CycleMark::Cancelled { .. })) {
            return Some(refused_by_cancelled(cycle));
        }
        let mut open = self.activity.open_in(&rewind.cycle);
        let found = open.find_map(|id| {
            if let Some(run) = self.runs.get(&id).filter(|run| rewind.is_of(run)) {
                let remedy = if run.is_running() { "kill" } else { "why" };
                let name = run.worker.name();
                return Some(format!("{name} (run {id}) is open: nowcast {remedy} {}", id.0));
            }
            match self.parked.get(&id).map(|parked| &parked.item)? {
                ParkedItem::Message { source, r#type, run, .. } => {
                    let is_of_run = run.is_some_and(|run| rewind.chains.contains(&run));
                    let is_forgotten = is_of_run || rewind.messages.contains(&id) || *source == rewind.from;
                    let text =
                        || format!("a message of {source} ({type}) is parked: nowcast retry {0} or nowcast discard {0}", id.0);
                    is_forgotten.then(text)
                }
                ParkedItem::Launches { launches, .. } => {
                    let launch = launches.iter().find(|launch| rewind.messages.contains(&launch.cause))?;
                    let name = launch.worker.name();
                    Some(format!("a launch of {name} is parked: nowcast release {0} or nowcast discard {0}", id.0))
                }
            }
        });
        found.map(|found| format!("cycle {} cannot be rewound while {found}", rewind.cycle))
    }
}
