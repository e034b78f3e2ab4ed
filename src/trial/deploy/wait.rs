//! What the manager makes of new files, read in its journal.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::store::journal::RulesInForce;
use crate::store::{History, JournalError};

/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The journal before the files were exchanged.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    /// Its last event.
    last_event: u64,
}

/// What a manager made of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// They are in force as that generation.
    InForce(u64),
    /// They were refused, for that reason.
    Refused(String),
    /// Nothing yet.
    NotYet,
}

impl Before {
    /// Looks at the journal in a folder.
    ///
    /// # Errors
    ///
    /// If there is one that cannot be read.
    pub fn look(folder: &Path) -> Result<Self, JournalError> {
        let last_event = match History::open(folder) {
            Ok(history) => history.last_event()?.0,
            Err(JournalError::None { .. }) => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { last_event })
    }
}

/// Waits until the manager has said what it makes of the rules with that hash, at most so long.
///
/// # Errors
///
/// If the journal cannot be read.
pub fn wait(folder: &Path, hash: &str, before: Before, patience: Duration) -> Result<Taken, JournalError> {
    let end = Instant::now() + patience;
    loop {
        let rules = match History::open(folder) {
            Ok(history) => history.rules_in_force()?,
            Err(JournalError::None { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(RulesInForce { generation, hash: of, refused, .. }) = rules {
            match refused {
                Some((event, reason)) if event.0 > before.last_event => return Ok(Taken::Refused(reason)),
                None if of == hash => return Ok(Taken::InForce(generation)),
                // Those of before; or an older refusal is still to be taken back.
                _ => {}
            }
        }
        if Instant::now() >= end {
            return Ok(Taken::NotYet);
        }
        std::thread::sleep(LOOK);
    }
}
