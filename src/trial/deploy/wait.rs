//! Waits until the manager's journal says that new rules are in force or refused.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::store::journal::RulesInForce;
use crate::store::{History, JournalError};

/// How many times the journal is looked at.
const READ_PAUSE: Duration = Duration::from_millis(50);

/// How long a refusal must stay: a manager looks at the files every second.
const REFUSAL_STAYS: Duration = Duration::from_millis(2_500);

/// The journal before the files were exchanged.
#[derive(Debug, Clone, Copy)]
pub struct JournalBefore {
    /// Its last event.
    last_event: u64,
}

/// What a manager made of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployOutcome {
    /// They are in force as that generation.
    InForce(u64),
    /// They were refused, for that reason.
    Refused(String),
    /// Nothing yet.
    NotYet,
}

impl JournalBefore {
    /// Looks at the journal in a folder.
    ///
    /// # Errors
    ///
    /// If there is one that cannot be read.
    pub fn read(folder: &Path) -> Result<Self, JournalError> {
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
pub fn wait(
    folder: &Path,
    hash: &str,
    before: JournalBefore,
    timeout: Duration,
) -> Result<DeployOutcome, JournalError> {
    let read = || match History::open(folder) {
        Ok(history) => history.rules_in_force(),
        Err(JournalError::None { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let pause = || std::thread::sleep(READ_PAUSE);
    wait_with(read, pause, &WaitTimes { all: timeout, after_refusal: REFUSAL_STAYS }, hash, before)
}

/// How long is waited.
struct WaitTimes {
    all: Duration,
    after_refusal: Duration,
}

/// A manager that looked while the files were exchanged may have refused what it saw of them; it looks again.
fn wait_with(
    mut read: impl FnMut() -> Result<Option<RulesInForce>, JournalError>,
    pause: impl Fn(),
    times: &WaitTimes,
    hash: &str,
    before: JournalBefore,
) -> Result<DeployOutcome, JournalError> {
    let mut end = Instant::now() + times.all;
    let mut is_refused = false;
    loop {
        let mut outcome = DeployOutcome::NotYet;
        if let Some(RulesInForce { generation, hash: of, refused, .. }) = read()? {
            match refused {
                Some((event, reason)) if event.0 > before.last_event => {
                    outcome = DeployOutcome::Refused(reason);
                }
                None if of == hash => return Ok(DeployOutcome::InForce(generation)),
                // The previous ones; or an older refusal is still to be taken back.
                _ => {}
            }
        }
        if matches!(outcome, DeployOutcome::Refused(_)) && !is_refused {
            is_refused = true;
            end = Instant::now() + times.after_refusal;
        }
        if Instant::now() >= end {
            return Ok(outcome);
        }
        pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_core::Number;

    const SOON: WaitTimes =
        WaitTimes { all: Duration::from_secs(60), after_refusal: Duration::from_secs(60) };
    const NOW: WaitTimes = WaitTimes { all: Duration::from_secs(60), after_refusal: Duration::ZERO };

    fn rules(generation: u64, hash: &str, refused: Option<u64>) -> RulesInForce {
        RulesInForce {
            generation,
            hash: hash.to_owned(),
            loaded_by: Number(1),
            loaded_at: None,
            refused: refused.map(|event| (Number(event), "half".to_owned())),
        }
    }

    #[test]
    fn a_refusal_in_the_middle_of_an_exchange_is_not_the_end() {
        let mut reads = [rules(1, "old", None), rules(1, "old", Some(9)), rules(2, "new", None)].into_iter();
        let outcome = wait_with(|| Ok(reads.next()), || (), &SOON, "new", JournalBefore { last_event: 8 });
        assert_eq!(outcome.unwrap(), DeployOutcome::InForce(2));
    }

    #[test]
    fn only_a_new_and_lasting_refusal_counts() {
        let read = || Ok(Some(rules(1, "old", Some(9))));
        let outcome = wait_with(read, || (), &NOW, "new", JournalBefore { last_event: 8 });
        assert_eq!(outcome.unwrap(), DeployOutcome::Refused("half".to_owned()));
        let never = WaitTimes { all: Duration::ZERO, ..NOW };
        let outcome = wait_with(read, || (), &never, "new", JournalBefore { last_event: 9 });
        assert_eq!(outcome.unwrap(), DeployOutcome::NotYet);
    }
}
