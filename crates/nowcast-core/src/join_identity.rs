//! The identity of a join by cycle or since a moment, and the messages that count in it.
//!
//! A join that a rule opens counts from then on, so it never receives a message that has come already. An identified join counts the
//! notes of messages, whenever they came. It stays known after its end, so that it completes once.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Now;
use crate::cycles::{Cycles, NoteScope};
use crate::message::Message;
use crate::rules::Requirement;
use crate::run::Number;

/// The additional fields of an identified join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifiedJoin {
    /// The messages that count in it. With its name, this identifies it.
    pub scope: NoteScope,
    /// The required messages, as the rule said them: `Join::requires` has those that are missing.
    pub wait_for: Vec<Requirement>,
    /// The position in the rules where it was requested first, as `next_workers.lua:12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How it ended; `None` while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<JoinEnd>,
    /// The last request under its name that was different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<JoinConflict>,
}

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinEnd {
    /// It received everything.
    Completed,
    /// An operator released it.
    Released,
    /// It was overdue, and its launches were parked.
    TimedOut,
    /// An operator discarded it.
    Discarded,
    /// An operator cancelled its cycle. It opens again if the cycle is resumed.
    Cancelled,
}

/// A request that differs from the join that has its name. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinConflict {
    /// The message whose rule requested it.
    pub message: Number,
    /// When that was, by the wall clock.
    pub at: Timestamp,
    /// The position in the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

impl Display for JoinEnd {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Completed => "is complete",
            Self::Released => "was released",
            Self::TimedOut => "was overdue",
            Self::Discarded => "was discarded",
            Self::Cancelled => "was cancelled with its cycle",
        })
    }
}

impl IdentifiedJoin {
    /// Return how an operator repeats what follows from a message of a join that has ended; nothing if that is not possible.
    #[must_use]
    pub fn remedy(&self, message: &Message) -> String {
        match &self.scope {
            // The cycle must be resumed first.
            _ if self.end == Some(JoinEnd::Cancelled) => String::new(),
            NoteScope::Cycle(cycle) => {
                format!(
                    "; to repeat what follows from it: nowcast rerun --cycle {cycle} --from {}",
                    message.source
                )
            }
            NoteScope::Since(_) => String::new(),
        }
    }

    /// Return how a request differs from the join, for an operator: both places, and which one stays.
    #[must_use]
    pub fn disagreement(&self, conflict: &JoinConflict) -> String {
        let place = |location: &Option<String>| location.clone().unwrap_or_else(|| "a rule".to_owned());
        format!(
            "{} made it, {} asks for something else; the first one stays",
            place(&self.location),
            place(&conflict.location)
        )
    }

    /// Return the notes in which messages of a requirement count.
    #[must_use]
    pub fn scope_of(&self, required: &Requirement) -> NoteScope {
        required.cycle.clone().map_or_else(|| self.scope.clone(), NoteScope::Cycle)
    }

    /// Return the messages that it still requires, and those that count in it, oldest first. A chain counts once, rather for an entry
    /// with a type than for one that takes any.
    #[must_use]
    pub fn evaluate(&self, cycles: &Cycles, now: Now) -> (Vec<Requirement>, Vec<Number>) {
        let (mut missing, mut received, mut counted) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut entries: Vec<(usize, &Requirement)> = self.wait_for.iter().enumerate().collect();
        entries.sort_by_key(|(_, required)| required.r#type.is_none());
        for (place, required) in entries {
            let found =
                cycles.counting(&self.scope_of(required), &required.worker, required.r#type.as_deref(), now);
            let found = found.into_iter().filter(|(chain, _)| !counted.contains(chain));
            let found: Vec<_> = found.take(required.count as usize).collect();
            // At most as many as were taken.
            let left = required.count - u32::try_from(found.len()).unwrap_or(required.count);
            if left > 0 {
                missing.push((place, Requirement { count: left, ..required.clone() }));
            }
            counted.extend(found.iter().map(|(chain, _)| *chain));
            received.extend(found.into_iter().map(|(_, message)| message));
        }
        missing.sort_unstable_by_key(|(place, _)| *place);
        received.sort_unstable();
        (missing.into_iter().map(|(_, required)| required).collect(), received)
    }
}
