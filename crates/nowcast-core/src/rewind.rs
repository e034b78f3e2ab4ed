//! [`Rewind`]: a cycle is rewound to a worker. The messages that follow from it are forgotten in joins and notes, and its runs repeated.
//!
//! What follows by cause is in the journal only, so the command line finds it, and the decision refuses it if the cycle has had an event
//! since. Nothing here rewinds the checklist, or joins that count from their opening on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cycle::Cycle;
use crate::join::Join;
use crate::join_identity::JoinEnd;
use crate::next_worker::NextWorker;
use crate::run::{Number, Run, RunId};

/// The most runs that one rewind repeats.
pub const MOST_REPEATED: usize = 1_000;

/// An operator's command to rewind a cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewind {
    /// The cycle.
    pub cycle: Cycle,
    /// The worker.
    pub from: String,
    /// The cycle's last event when the rest was found.
    pub seen: Number,
    /// The messages that are forgotten: those of the worker, and those that followed from them.
    pub messages: BTreeSet<Number>,
    /// The chains of runs that sent them.
    pub chains: BTreeSet<RunId>,
    /// The launches.
    pub launches: Vec<RepeatedRun>,
}

/// A run that is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatedRun {
    /// The launch.
    pub worker: NextWorker,
    /// The run.
    pub rerun_of: RunId,
    /// The first run of its chain, which goes on.
    pub origin: RunId,
}

impl Rewind {
    /// Return whether a join has counted a message that is forgotten.
    #[must_use]
    pub fn concerns(&self, join: &Join) -> bool {
        join.received.iter().any(|message| self.messages.contains(message))
    }

    /// Return whether a join that has ended is opened again: one of the cycle that was complete or released.
    #[must_use]
    pub fn reopens(&self, join: &Join) -> bool {
        let end = join.identity.as_ref().and_then(|identity| identity.end);
        let is_complete = matches!(end, Some(JoinEnd::Completed | JoinEnd::Released));
        is_complete && join.cycle.as_ref() == Some(&self.cycle) && self.concerns(join)
    }

    /// Return whether a run is one of those that are repeated or followed from them.
    pub(crate) fn is_of(&self, run: &Run) -> bool {
        self.chains.contains(&run.chain())
            || run.worker.name() == self.from
            || self.messages.contains(&run.cause)
    }
}
